/// @file
/// The inside of an event loop: its state, and what is done with it.
#pragma once

#include "libstargate/connection/event_loop.hpp"
#include "libstargate/connection/pacing.hpp"
#include "libstargate/connection/poller.hpp"
#include "libstargate/connection/proxy.hpp"
#include "libstargate/connection/resolver.hpp"
#include "libstargate/connection/session.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>
#include <unordered_map>
#include <vector>

namespace stargate::connection {

struct event_loop::parts {
  using clock = session::clock;

  static constexpr std::size_t receive_buffer = 256u << 10;
  static constexpr auto most_away = std::chrono::milliseconds{10}; ///< Who has a seat is; then the loop reads.

  static constinit thread_local const parts* running; ///< The one whose thread this is.

  std::optional<connection::tls> tls; ///< Empty when the loop speaks none.
  proxy_variables proxies;
  std::thread thread;
  std::once_flag stop_once;
  connection::poller poller;

  /// Held by whoever does the loop's work: its thread, except while it sleeps; then, whoever sends, or has lent itself.
  std::mutex turn;

  std::mutex mutex;                            // within `turn`, where both are held
  std::vector<std::function<void()>> commands; // guarded by mutex
  std::atomic<bool> sleeps{false};             ///< The thread waits, and nobody has woken it.
  bool stopped = false;                        // guarded by mutex: no command is taken any more

  // Guarded by turn:
  /// A session of this loop's, and what the loop knows of it.
  struct member final : session {
    using session::session;
    bool is_in = false;                                    ///< Among `members`.
    int watched = -1;                                      ///< The socket that is watched for it,
    connection::poller::interest in{};                     ///< and for what.
    std::shared_ptr<doorbell> guest{};                     ///< Of the thread that reads it in the loop's place,
    std::optional<clock::time_point> away_since{};         ///< and may be doing something else.
    std::optional<clock::time_point> held_since{};         ///< What came is handed on later, with what comes meanwhile.
    grouped_frames group{};                                ///< Of what is to be sent.
    std::size_t counted = 0;                               ///< Answers that it awaits, as they were counted last.
    clock::time_point wakes_at = clock::time_point::max(); ///< The first time at which it is looked at.
  };
  std::unordered_map<const member*, std::shared_ptr<member>> members;
  std::vector<std::shared_ptr<member>> gone; ///< They may still be among what is ready.
  struct alarm {
    clock::time_point at;
    std::weak_ptr<member> whose;
    friend bool operator<(const alarm& a, const alarm& b) { return a.at > b.at; }
  };
  std::priority_queue<alarm> alarms;
  std::vector<member*> with_frames, unfinished, to_write;
  std::vector<member*> held;    ///< Those whose frames are handed on later, the longest first.
  std::vector<member*> seated;  ///< Those whose guests may be away.
  std::vector<member*> grouped; ///< Those whose frames wait for others to go with them,
  clock::time_point next_group = clock::time_point::max(); ///< when the first of them have waited long enough,
  clock::time_point next_ripe = clock::time_point::max();  ///< and when they have for whoever is awake anyway.
  std::vector<char> buffer = std::vector<char>(receive_buffer);
  bool stopping = false;
  clock::time_point stop_by;
  gathering gathers;
  std::size_t awaited = 0; ///< Answers, by all sessions.
  clock::time_point sleeps_until;
  connection::load load = connection::load::idle;
  clock::duration worked{0}; ///< In the turn before this.

  explicit parts(std::chrono::milliseconds gather_time) : gathers{gather_time} {}

  resolver names; // the last member, so the first to go: its thread posts commands

  // -- from any thread

  /// Runs `command` on the loop's thread. One wake-up serves all commands that are there. False when the loop has
  /// stopped. @par Threads any thread
  bool post(std::function<void()> command);

  /// As `post`, for frames: where the loop's thread sleeps, they are written by this one.
  void send(const std::shared_ptr<member>& s, std::vector<frame> frames, const grouping& how);

  /// At the end of a turn that was not the loop's own.
  void wake_for_the_rest();

  // -- guests: threads that read a connection in the loop's place, which sleeps on and does not look at it

  bool admit(member* s, const std::shared_ptr<doorbell>& bell);
  [[nodiscard]] bool is_guest(member* s, const std::shared_ptr<doorbell>& bell) const;

  /// The loop, or somebody who sends, may have the turn for long: no guest waits for that.
  static bool take_turn(std::unique_lock<std::mutex>& mine);

  /// Reads, at most so many times, until `done`. @param mine the turn, which is not kept while there is nothing to do,
  /// and is not had when this returns because it could not be had again
  void read_as_guest(std::unique_lock<std::mutex>& mine, member* s, const std::shared_ptr<doorbell>& bell,
                     std::size_t most, const std::function<bool()>& done, clock::time_point until);

  /// As `see_off`, by the loop where this thread has not the turn.
  void leave(const std::shared_ptr<member>& s, const std::shared_ptr<doorbell>& bell,
             const std::unique_lock<std::mutex>& mine);
  void see_off(member* s, const std::shared_ptr<doorbell>& bell);

  /// See `link::lend_thread`.
  void take_in(const std::shared_ptr<member>& s, const std::function<bool()>& done, clock::time_point until,
               const std::shared_ptr<doorbell>& bell);

  /// See `link::take_seat`. @param loop whose these parts are
  [[nodiscard]] std::unique_ptr<seat> take_seat(std::shared_ptr<event_loop> loop, std::shared_ptr<member> s,
                                                std::shared_ptr<doorbell> bell);
  bool give_seat(member* s, const std::shared_ptr<doorbell>& bell);

  /// See `seat::wait`.
  bool wait_on_seat(member* s, const std::shared_ptr<doorbell>& bell, const std::function<bool()>& done,
                    clock::time_point until);

  /// From now on, a while.
  void is_away(member* s);
  void leave_seat(const std::shared_ptr<member>& s, const std::shared_ptr<doorbell>& bell);

  /// The loop reads again what whoever stays away would have read.
  void take_seats_back();

  // -- its work

  void run();

  /// Has observers take what came, and writes what they send in answer. A guest hears of what the loop reads, which may
  /// have been awake already when it came.
  void hand_on();

  /// What came by the guest's own connection: the loop may be gathering that of others.
  void hand_on_as_guest(member* s);

  /// A peer that takes less than there is to say is not kept waiting by whoever hears later what it says: that wakes
  /// threads once for many frames. Receipts of large messages come one by one, and there are more messages to write.
  [[nodiscard]] bool may_hold(member* s) const;

  /// Until `release_held` finds that it may not be held any more. It is not even read, except when it has room.
  void hold(member* s);
  void release_held();
  void write();

  /// Whether what is unsent, and may wait for more of its kind, does.
  bool may_wait(member* s, const grouping& how);
  void write_groups();

  /// Until the next alarm, or not at all when there is something to do already.
  std::chrono::nanoseconds time_to_sleep(clock::time_point now);

  /// Waits, and serves what is ready.
  void service(std::chrono::nanoseconds at_most);
  void serve(member* s, bool readable, bool has_room, clock::time_point now);

  /// Looks again after a moment, or more, where that pays.
  void gather();
  [[nodiscard]] amount received() const;

  // -- the life of a session

  /// Does what a session asks for, and sees that it is looked at again.
  void act(member* s, session::next next);
  void attend(member* s);
  void forget(member* s);
  void set_alarm(member* s);

  /// Looks at those whose time has come, or had come when they were put there.
  void ring();
  void begin(const std::shared_ptr<member>& s);
  void connect(member* s);

  /// False where the session has ended.
  bool take_to_send(member* s, std::vector<frame> frames);
  void count_awaited(member* s);
  void append(member* s, std::vector<frame> frames, const grouping& how);
  void close(member* s);
  void finish(member* s, ended why);

  /// The one place where a session ends.
  void finish(member* s);
};

} // namespace stargate::connection
