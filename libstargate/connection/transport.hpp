/// @file
/// What carries frames between this process and a broker: WebSocket connections, whoever makes them. It knows no actor:
/// an observer is told what happens. The event loop is the one that programs use; a simulation has its own.
#pragma once

#include "libstargate/protocol/frame_text.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stargate::connection {

class doorbell;
class frame_memory;

/// Where to connect to, and how long things may take.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
  std::string path;                                              ///< With the query, encoded.
  std::vector<std::pair<std::string, std::string>> headers = {}; ///< Sent with the handshake; a name ends in a colon.
  std::chrono::milliseconds connect_timeout{10'000};             ///< Name, connection and handshake together.
  std::chrono::seconds ping_interval{10};
  std::chrono::seconds pong_timeout{5};
  std::size_t max_frame = 8u << 20; ///< A larger frame from the peer goes to `observer::on_oversized`.
  std::shared_ptr<connection::frame_memory> memory = {}; ///< For the peer's frames; may be null.
  bool answers_each = false;                             ///< The peer answers each frame by one: it is a producer's.
};

/// Why a connection ended, or never came to be.
enum class end : std::uint8_t {
  unresolved,  ///< The host's name does not resolve.
  unreachable, ///< No connection, or no WebSocket handshake, in time.
  unsendable,  ///< The handshake would be larger than servers take.
  refused,     ///< The handshake was answered with a status that is not 101.
  untrusted,   ///< The peer's certificate is not to be trusted, or the peer does not trust ours.
  lost,        ///< The connection broke, or a ping went unanswered.
  peer_closed, ///< The peer sent a close frame.
  too_large,   ///< The peer sent a frame larger than `endpoint::max_frame`, and nobody knows what to put in its place.
  closed,      ///< This side closed it.
};

struct ended {
  connection::end how = end::lost;
  int status = 0;   ///< The HTTP status of a handshake that was refused, or the code of a peer's close frame; else 0.
  std::string text; ///< More, for people.
  /// The HTTP answer with which a handshake was refused, as it came, but without this side's secrets; empty where it
  /// could not be had.
  std::string answer = {};
};

/// A text frame to send. It is shared because it may have to be sent again by another connection.
using frame = std::shared_ptr<const protocol::frame_text>;

/// How long frames may wait for others of their kind, which then go with them.
struct grouping {
  std::chrono::milliseconds time{0}; ///< At the longest; 0 is not at all.
  std::size_t most = 1;              ///< So many go at once.
};

/// How much a transport's thread has to do: idle means that it sleeps more than it works.
enum class load : std::uint8_t { idle, busy };

/// Is told what happens to one connection.
/// @par Threads the transport's own thread, or one that was lent to it: it must not block
class observer {
public:
  observer() = default;
  observer(const observer&) = delete;
  observer& operator=(const observer&) = delete;
  virtual ~observer() = default;

  /// The handshake is done.
  virtual void on_open() = 0;
  /// Whole frames, in order; as many as one wake-up of the transport brought. @param load whether the thread has time
  /// to do more with them than to pass them on
  virtual void on_frames(std::vector<std::string> frames, load load) = 0;
  /// A frame is larger than `endpoint::max_frame`. It is read and thrown away, and what this gives takes its place
  /// among the frames; nothing ends the connection. @param beginning its first bytes; @param size at least its size
  virtual std::optional<std::string> on_oversized(std::string_view beginning, std::uint64_t size) {
    static_cast<void>(beginning), static_cast<void>(size);
    return std::nullopt;
  }
  /// The last call, and exactly one for each connection.
  virtual void on_end(ended why) = 0;
};

/// A thread's place beside a connection, which it reads in the transport's stead. Whoever lets go of it leaves the
/// connection to the transport again, as does whoever stays away from it for long (tens of milliseconds), for which the
/// peer's bytes then wait.
/// @par Threads the one that has taken it
class seat {
public:
  seat() = default;
  seat(const seat&) = delete;
  seat& operator=(const seat&) = delete;
  virtual ~seat() = default; ///< Leaves.

  /// Waits beside the socket, and has the observer told of what comes, on this thread. Returns when `done` says so,
  /// which is asked first, after whatever came and after each ring, or the time is over.
  /// @return whether the seat is kept; if not it is to be let go of: somebody else serves the connection better
  [[nodiscard]] virtual bool wait(const std::function<bool()>& done, std::chrono::steady_clock::time_point until) = 0;
};

/// One connection, or the attempt at one. Whoever lets go of it closes it.
/// @par Threads any thread
class link {
public:
  link() = default;
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  virtual ~link() = default; ///< Closes.

  /// Sends frames in order, from this thread where the transport's is asleep: to wake it would cost more. What cannot be
  /// sent because the connection ended is dropped: who needs it sends it again.
  virtual void send(std::vector<frame> frames) = 0;

  /// As `send`, and in order with what that sends; but they may wait, in the transport's hands, where more of their kind
  /// come often. What is closed sends them before.
  virtual void send_grouped(std::vector<frame> frames, const grouping& how) {
    static_cast<void>(how);
    send(std::move(frames));
  }

  /// Has this thread, which waits for one answer, read this connection itself: to be woken costs more than what there is
  /// to do. Returns when `done` says so, which is asked first, after whatever came, and after each ring of `bell`; or
  /// earlier, when somebody else serves the connection better: then, and where nothing can be lent at all, the thread has
  /// yet to wait. @par Threads one that may wait; the observer is then called on it
  virtual void lend_thread(const std::function<bool()>& done, std::chrono::steady_clock::time_point until,
                           const std::shared_ptr<doorbell>& bell) {
    static_cast<void>(done), static_cast<void>(until), static_cast<void>(bell);
  }

  /// A place beside this connection, for a thread that waits again and again for what it brings.
  /// @param bell ends a wait when it is rung, by this thread's wish or with the connection
  /// @return null where somebody has it, where the transport's thread is at work, and where there are no places
  [[nodiscard]] virtual std::unique_ptr<seat> take_seat(const std::shared_ptr<doorbell>& bell) {
    static_cast<void>(bell);
    return nullptr;
  }

  /// Closes with code 1000 after what was handed to `send` has been written; an attempt to connect is given up.
  virtual void close() = 0;
};

/// Makes connections. @par Threads any thread
class transport {
public:
  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  virtual ~transport() = default;

  /// Begins to connect. The observer lives until after `on_end`, which comes for every connection, also one that was
  /// never made; for one that is asked for after `stop` it comes within this call.
  [[nodiscard]] virtual std::unique_ptr<link> connect(endpoint to, std::unique_ptr<observer> observer) = 0;

  /// Closes what is open, waits for it at most a second, and makes no more connections. @par Threads any thread but
  /// the transport's own
  virtual void stop() = 0;
};

} // namespace stargate::connection
