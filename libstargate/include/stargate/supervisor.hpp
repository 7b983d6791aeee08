/// @file
/// OTP's supervisor for CAF: an actor that starts others in order, restarts them by a strategy when they end, and
/// stops them in reverse. It knows nothing of Pulsar and is of use to any CAF program.
///
/// What differs from OTP, because CAF differs:
/// - Children are watched by monitors, not links: CAF's links would take the supervisor along with a child that ends
///   with `caf::exit_reason::kill`. When a supervisor is killed, it kills its children as it goes.
/// - A kill takes effect when the actor next looks at its mailbox. A child that never does, because a handler hangs,
///   is given up after `kill_timeout`, with an error in the log.
/// - `which_children` is answered at once, even in the middle of a restart.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace stargate {

using child_id = std::string;

/// When a child that ended is started again. @par Source OTP's `restart`.
enum class restart : std::uint8_t {
  permanent, ///< Always.
  transient, ///< When it did not end well (`is_normal_exit`).
  temporary, ///< Never; its specification goes with it.
};

/// Which children are restarted when one is. @par Source OTP's `strategy`.
enum class strategy : std::uint8_t {
  one_for_one,  ///< The one that ended.
  one_for_all,  ///< All of them.
  rest_for_one, ///< It and those that were started after it.
};

enum class child_type : std::uint8_t { worker, supervisor };

/// How a child is stopped. @par Source OTP's `shutdown`.
class shutdown {
public:
  /// Asks the child to end and kills it when it has not within `timeout`.
  shutdown(std::chrono::milliseconds timeout) : timeout_{timeout} {}
  /// Kills the child without asking.
  [[nodiscard]] static shutdown brutal_kill() { return shutdown{std::chrono::milliseconds{-1}}; }
  /// Asks the child to end and waits for as long as it takes: for supervisors, which bound it themselves.
  [[nodiscard]] static shutdown infinity() { return shutdown{std::chrono::milliseconds::max()}; }

  [[nodiscard]] bool kills() const { return timeout_ < std::chrono::milliseconds::zero(); }
  [[nodiscard]] bool waits_for_ever() const { return timeout_ == std::chrono::milliseconds::max(); }
  [[nodiscard]] std::chrono::milliseconds timeout() const { return timeout_; }

private:
  std::chrono::milliseconds timeout_;
};

/// What a start function is given.
struct start_context {
  caf::actor_system& system;
  caf::actor supervisor; ///< Who starts the child: a child with a `start_timeout` sends it `child_started`.
};

/// Starts a child: spawns an actor and gives it back. It runs in the supervisor and must not block; an exception or
/// an error is a start that failed.
using start_function = std::function<caf::expected<caf::actor>(const start_context&)>;

/// How to start, restart and stop one child. @par Source OTP's `child_spec()`.
struct child_spec {
  child_id id = {};
  start_function start = {};
  stargate::restart restart = stargate::restart::permanent;
  std::optional<stargate::shutdown> shutdown = {}; ///< Unset: 5 s for a worker, infinity for a supervisor.
  child_type type = child_type::worker;
  /// Unset: the child has started when `start` returns. Set: when it sends `child_started` to its supervisor; if that
  /// does not come in time the child is killed, and the start has failed. (OTP: `proc_lib:init_ack`)
  std::optional<std::chrono::milliseconds> start_timeout = {};
};

/// A supervisor's own settings. @par Source OTP's `sup_flags()`, with its defaults.
struct supervisor_options {
  std::string name = "supervisor"; ///< For people: it appears in errors and listings.
  stargate::strategy strategy = stargate::strategy::one_for_one;
  std::uint32_t intensity = 1; ///< More restarts than this within `period` make the supervisor give up.
  std::chrono::seconds period{5};
  std::vector<child_spec> children = {};         ///< Started in this order, stopped in reverse.
  std::chrono::milliseconds kill_timeout{5'000}; ///< How long a killed child may keep its supervisor waiting.
  log_hook log = {};                             ///< Unset: CAF's logger.
};

/// Starts a supervisor, which starts its children in order. When all have started it sends `child_started` to
/// `parent`, if there is one; when one fails to, it stops those before it in reverse and ends with
/// `exit_code::shutdown` and the reason as text.
///
/// It ends, after its children, when it is sent an exit message, and with `exit_code::shutdown` when there were more
/// restarts than its intensity allows.
/// @par Threads any thread
[[nodiscard]] caf::actor spawn_supervisor(caf::actor_system& system, supervisor_options options,
                                          caf::actor parent = {});

/// A child specification for a supervisor below a supervisor.
[[nodiscard]] child_spec supervisor_spec(child_id id, supervisor_options options,
                                         stargate::restart restart = stargate::restart::permanent);

// -- messages -----------------------------------------------------------------

/// From a child with a `start_timeout` to its supervisor: it has started.
struct child_started {
  caf::actor who;
};

/// Adds a child and starts it; answered with `found_child`.
/// @par Errors errc::invalid_child_spec; errc::child_running or errc::child_present when the id is taken;
/// errc::start_failed or errc::start_timeout, and the specification is not kept.
struct start_child {
  child_spec spec;
};
/// Stops a child; its specification stays, unless it is temporary. Answered with `child_done`.
/// @par Errors errc::child_not_found
struct terminate_child {
  child_id id;
};
/// Starts a child that was stopped; answered with `found_child`.
/// @par Errors errc::child_not_found; errc::child_running; errc::child_restarting; errc::start_failed
struct restart_child {
  child_id id;
};
/// Forgets a child that was stopped; answered with `child_done`.
/// @par Errors errc::child_not_found; errc::child_running; errc::child_restarting
struct delete_child {
  child_id id;
};
struct found_child {
  caf::actor who;
};
struct child_done {
  child_id id;
};

/// Asks for a supervisor's children, in start order: answered with `children`. @par Errors none
struct which_children {};
/// Asks how many children there are: answered with `child_counts`. @par Errors none
struct count_children {};

enum class child_state : std::uint8_t {
  starting,   ///< Its start function has run, and it has not reported yet.
  running,    ///
  stopping,   ///< It was asked to end.
  restarting, ///< It ended, and will be started again.
  stopped,    ///< It ended, or was stopped, and will not be started by itself.
};

[[nodiscard]] std::string_view name_of(child_state state) noexcept;

/// One child as its supervisor sees it.
struct child_info {
  child_id id;
  caf::actor who; ///< Empty unless it is starting, running or stopping.
  child_state state = child_state::stopped;
  child_type type = child_type::worker;
  std::uint64_t restarts = 0;                  ///< How often it was started again, its siblings' failures included.
  caf::error last_exit;                        ///< Why it last ended; empty also if it never did.
  std::chrono::steady_clock::time_point since; ///< When it entered its state, on the actor system's clock.
};

struct children {
  std::vector<child_info> list;
  std::uint64_t restarts = 0; ///< How many failures this supervisor has answered with a restart.
};

/// @par Source OTP's `count_children`.
struct child_counts {
  std::size_t specs = 0;
  std::size_t active = 0;
  std::size_t supervisors = 0;
  std::size_t workers = 0;
};

} // namespace stargate

// clang-format off
#define STARGATE_SUPERVISOR_MESSAGES(X) \
  X(stargate::child_started) \
  X(stargate::start_child) \
  X(stargate::terminate_child) \
  X(stargate::restart_child) \
  X(stargate::delete_child) \
  X(stargate::found_child) \
  X(stargate::child_done) \
  X(stargate::which_children) \
  X(stargate::count_children) \
  X(stargate::children) \
  X(stargate::child_counts)
// clang-format on
#define STARGATE_ID(type) STARGATE_TYPE(stargate_supervisor, type)
STARGATE_BEGIN_TYPES(stargate_supervisor, STARGATE_FIRST_TYPE_ID + 30)
STARGATE_SUPERVISOR_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_supervisor)
#undef STARGATE_ID
STARGATE_SUPERVISOR_MESSAGES(STARGATE_LOCAL_MESSAGE)
