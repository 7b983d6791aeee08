// Asks the broker for the consumers and readers of a tree that got nothing for long. Whom and when is `idle_watch`'s, which
// the tree keeps: nothing is lost with this actor.
//
// accepts  look_idle from itself, from who asks, and from a dispatcher, when there is somebody to be asked for;
//          report_vitals from anybody
// sends    receiver_absent to dispatchers, by who asks
// dies of  an exit message
#include "actors/receiver/presence.hpp"

#include "actors/receiver/messages.hpp"
#include "actors/shared/apart.hpp"
#include "actors/shared/join.hpp"

#include <stargate/admin.hpp>
#include <stargate/vitals.hpp>

#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

namespace stargate::internal {

namespace {

constexpr std::chrono::milliseconds patience{5'000};  // with an answer
constexpr std::chrono::milliseconds lingering{1'000}; // of whoever asks, for more to ask for
constexpr std::chrono::milliseconds pace{20};         // of questions: 50 a second

struct watched_receiver : idle_watch::watched {
  const receiver_ptr receiver;
  const std::uint64_t connection;
  const caf::actor_addr dispatcher;

  watched_receiver(idle_watch::clock::time_point now, receiver_ptr whose, std::uint64_t number, caf::actor_addr who)
    : watched{now},
      receiver{std::move(whose)},
      connection{number},
      dispatcher{std::move(who)} {}
};

caf::expected<bool> is_present(const admin& broker, const receiver& p) {
  for (const auto& topic : p.topics) {
    auto present = broker.has_consumer(topic, p.name_at_broker);
    if (!present || !*present)
      return present;
  }
  return true;
}

bool is_silence(const caf::error& why) {
  const auto code = code_of(why);
  return code == errc::timed_out || code == errc::connection_failed || code == errc::unresolved_host;
}

void look_again(tree_context& tree) {
  if (const auto who = tree.registry().whereis(presence_name(tree.description))) // else its successor looks
    post(who, look_idle{});
}

/// All questions of a tree, by one connection.
class inquiry {
public:
  explicit inquiry(tree_context& tree) : tree_{tree} {}
  inquiry(const inquiry&) = delete;
  inquiry& operator=(const inquiry&) = delete;
  ~inquiry() {
    tree_.idle_watch.asked_all();
    look_again(tree_);
  }

  void run() {
    const auto broker = tree_.world->make_admin(tree_.description, patience);
    const bool may_wait = tree_.world->has_threads();
    while (const auto next = tree_.idle_watch.next(tree_.now())) {
      if (!ask(broker, next) || (may_wait && !tree_.idle_watch.wait(pace, lingering)))
        return;
    }
  }

private:
  using answer = idle_watch::answer;
  using news = idle_watch::news;

  bool ask(const admin& broker, const idle_watch::watched_ptr& next) {
    const auto& who = static_cast<const watched_receiver&>(*next);
    const auto present = is_present(broker, *who.receiver);
    if (!present && is_silence(present.error())) {
      if (tree_.idle_watch.unanswered(next, tree_.now()))
        say(presence_name(tree_.description), "those that are idle", present.error());
      return false;
    }
    const auto is_new = tree_.idle_watch.answered(next, answer_of(present), tree_.now());
    if (is_new == news::unknown)
      say(who.receiver->keys.dispatcher(), "it", present.error());
    if (is_new == news::forgotten)
      if (const auto dispatcher = caf::actor_cast<caf::actor>(who.dispatcher))
        post(dispatcher, receiver_absent{who.connection});
    return true;
  }

  static answer answer_of(const caf::expected<bool>& present) {
    if (present)
      return *present ? answer::present : answer::absent;
    return code_of(present.error()) == errc::not_found ? answer::no_topic : answer::unknown;
  }

  void say(const std::string& source, const std::string& whom, const caf::error& why) {
    tree_.say(log_level::info, source,
              "whether the broker still has " + whom + " could not be asked: " + describe(why));
  }

  tree_context& tree_;
};

struct presence_state {
  static inline const char* name = "stargate.presence";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const caf::actor supervisor;
  std::optional<idle_watch::clock::time_point> alarm{}; ///< When it looks again, by a message that is under way.

  presence_state(caf::event_based_actor* of, tree_context_ptr in, caf::actor below)
    : self{of},
      tree{std::move(in)},
      supervisor{std::move(below)} {}

  void look() {
    const auto now = tree->now();
    const auto next = tree->idle_watch.what_now(now);
    if (next.ask)
      ask();
    else if (next.look_at)
      look_at(*next.look_at, now);
  }

  void look_at(idle_watch::clock::time_point at, idle_watch::clock::time_point now) {
    if (alarm && *alarm > now && *alarm <= at)
      return;
    alarm = at;
    send_later(self, std::chrono::ceil<std::chrono::milliseconds>(at - now), look_idle{});
  }

  void ask() {
    try {
      run_apart(tree, [t = tree] { inquiry{*t}.run(); });
    } catch (const std::system_error&) { // the system has no more threads now
      tree->idle_watch.asked_all();
      look_at(tree->now() + lingering, tree->now());
    }
  }

  caf::behavior make_behavior() {
    join_tree(self, tree, presence_name(tree->description), supervisor, [this] {
      look();
      return true;
    });
    return behave(
      self, {}, [this](look_idle) { look(); }, [this](report_vitals) { return vitals_of(self); });
  }
};

} // namespace

std::string presence_name(const options& o) {
  return "presence_" + o.name;
}

caf::actor spawn_presence(tree_context_ptr tree, caf::actor supervisor) {
  const auto here = tree;
  return here->counted(spawn_state<presence_state>(here->system, std::move(tree), std::move(supervisor)));
}

std::shared_ptr<idle_watch::watched> watch_presence(const tree_context_ptr& tree, const receiver_ptr& receiver,
                                                    std::uint64_t connection, const caf::actor& dispatcher) {
  if (receiver->topics.empty() || tree->description.idle_check.count() == 0)
    return nullptr;
  auto who = std::make_shared<watched_receiver>(tree->now(), receiver, connection, dispatcher.address());
  if (tree->idle_watch.enter(who))
    look_again(*tree);
  return who;
}

} // namespace stargate::internal
