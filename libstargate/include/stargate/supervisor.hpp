/// @file
/// OTP's supervisor for CAF: an actor that starts others in order, restarts them by a strategy when they end, and
/// stops them in reverse. It knows nothing of Pulsar and is of use to any CAF program.
///
/// The same scenarios give the same traces as in Erlang, which `integration/otp` shows. What differs from OTP, because
/// CAF differs or because it is better so (`docs/supervision.md` says more):
/// - Children are watched by monitors, not links: CAF's links would take the supervisor along with a child that ends
///   with `caf::exit_reason::kill`. When a supervisor is killed, it kills its children as it goes, also those that
///   would not listen to an exit message.
/// - A kill takes effect when the actor next looks at its mailbox. A child that never does, because a handler hangs,
///   is given up after `kill_timeout`, with an error in the log.
/// - An exit message stops a supervisor whoever sent it, unless it is a normal one; in OTP only its parent's does.
/// - A stop does not wait for a child that is being started and has to report: that one is asked to end.
/// - `which_children` lists in start order, and unless it asks for its turn is answered at once, even in the middle of a
///   restart.
/// - A start function gives an empty handle where OTP's gives `ignore`.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/export.hpp>
#include <stargate/log.hpp>

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace STARGATE_API stargate {

/// What a child is called within its supervisor.
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

  /// The one that ended, of any number of children that are all made from one template by `start_dynamic_child`.
  simple_one_for_one,
};

/// Whether a supervisor ends by itself, with `exit_code::shutdown`, when significant children have ended and are not
/// restarted. A child that is terminated by request is none that has ended. @par Source OTP's `auto_shutdown`.
enum class auto_shutdown : std::uint8_t {
  never,
  any_significant, ///< When one of them has.
  all_significant, ///< When the last of them has.
};

/// Whether a child has children of its own. @par Source OTP: `type` of a child specification
enum class child_type : std::uint8_t { worker, supervisor };

/// How a child is stopped. @par Source OTP's `shutdown`.
class shutdown {
public:
  /// Asks the child to end and kills it when it has not within `timeout`.
  shutdown(std::chrono::milliseconds timeout) : timeout_{timeout} {}
  /// Kills the child without asking.
  [[nodiscard]] static shutdown brutal_kill() { return shutdown{std::chrono::milliseconds::min()}; }
  /// Asks the child to end and waits for as long as it takes: for supervisors, which bound it themselves.
  [[nodiscard]] static shutdown infinity() { return shutdown{std::chrono::milliseconds::max()}; }

  /// Whether it is `brutal_kill`.
  [[nodiscard]] bool kills() const { return timeout_ == std::chrono::milliseconds::min(); }
  /// Whether it is `infinity`.
  [[nodiscard]] bool waits_for_ever() const { return timeout_ == std::chrono::milliseconds::max(); }
  /// As it was given; the least there is for `brutal_kill`, the most for `infinity`.
  [[nodiscard]] std::chrono::milliseconds timeout() const { return timeout_; }

private:
  std::chrono::milliseconds timeout_;
};

/// What a start function is given.
struct start_context {
  caf::actor_system& system; ///< In which to spawn.
  caf::actor supervisor;     ///< Who starts the child: a child with a `start_timeout` sends it `child_started`.
  std::any argument = {}; ///< For a child of a template: what `start_dynamic_child` brought, the same at each restart.
};

/// Starts a child: spawns an actor and gives it back. It runs in the supervisor and must not block; an exception or
/// an error is a start that failed. An empty handle is no failure: there is nothing to run now, as OTP's `ignore`.
using start_function = std::function<caf::expected<caf::actor>(const start_context&)>;

/// How long a child waits before it is started again: `first`, and twice as long each time, up to `most`. One that has
/// run for `most` begins with `first` again. @par Source not of OTP; Akka's `BackoffSupervisor`
struct restart_backoff {
  std::chrono::milliseconds first; ///< The first wait.
  std::chrono::milliseconds most;  ///< The longest.
};

/// How to start, restart and stop one child. @par Source OTP's `child_spec()`.
struct child_spec {
  child_id id = {};                                         ///< Unique below its supervisor.
  start_function start = {};                                ///< Required.
  stargate::restart restart = stargate::restart::permanent; ///< After which ends it is started again.
  std::optional<stargate::shutdown> shutdown = {};          ///< Unset: 5 s for a worker, infinity for a supervisor.
  child_type type = child_type::worker;                     ///< Decides on the default of `shutdown`.

  /// Unset: the child has started when `start` returns. Set: when it sends `child_started` to its supervisor; if that
  /// does not come in time the child is killed, and the start has failed. (OTP: `proc_lib:init_ack`)
  std::optional<std::chrono::milliseconds> start_timeout = {};
  bool significant = false; ///< Counts for `auto_shutdown`. Not for a permanent child, which is always restarted.

  /// Unset: it is restarted at once, as in OTP. Set: it waits, as `restarting`, with those that are restarted with it.
  /// Each restart counts for the supervisor's intensity, whether it waits or not.
  std::optional<restart_backoff> backoff = {};
};

/// What a supervisor reports of one of its children. @par Source OTP's progress and supervisor reports (SASL)
struct supervisor_report {
  /// What happened.
  enum class event : std::uint8_t {
    started,          ///< It runs, for the first time or again. (OTP: a progress report)
    start_error,      ///< It could not be started, for `why`.
    child_terminated, ///< It ended, for `why`, and that calls for a restart or was no normal end.
    shutdown_error,   ///< It ended badly, for `why`, while it was stopped, or had to be killed.
    gave_up,          ///< Its end, for `why`, was one too many, and the supervisor ends. (OTP: `shutdown`)
  };
  event what;                 ///< What happened.
  std::string supervisor;     ///< Its name.
  child_id child;             ///< To which child.
  caf::error why = {};        ///< The reason, where there is one.
  std::uint64_t restarts = 0; ///< How often the child was started again.
};

/// In words. @par Threads any thread
[[nodiscard]] std::string_view name_of(supervisor_report::event what) noexcept;

/// A supervisor's own settings. @par Source OTP's `sup_flags()`, with its defaults.
struct supervisor_options {
  std::string name = "supervisor";                               ///< For people: it appears in errors and listings.
  stargate::strategy strategy = stargate::strategy::one_for_one; ///< Who is restarted with one that ended.
  std::uint32_t intensity = 1;    ///< More restarts than this within `period` make the supervisor give up.
  std::chrono::seconds period{5}; ///< At least one second.
  stargate::auto_shutdown auto_shutdown =
    stargate::auto_shutdown::never; ///< Whether it ends with its significant children.

  /// Started in this order, stopped in reverse. For `simple_one_for_one` the one template, of which none is started;
  /// its children are stopped all at once.
  std::vector<child_spec> children = {};
  /// How many children a `simple_one_for_one` supervisor may have at a time, those that wait to be restarted included;
  /// unset: any number. @par Source `max_children` of Elixir's `DynamicSupervisor`
  std::optional<std::size_t> max_children = {};
  std::chrono::milliseconds kill_timeout{5'000}; ///< How long a killed child may keep its supervisor waiting.
  log_hook log = {};                             ///< Unset: CAF's logger.

  /// Is told what happens to its children; that it gave up, before it stops those that it has. @par Threads the supervisor's own: it must not block or throw
  std::function<void(const supervisor_report&)> on_report = {};
};

/// What is wrong with a supervisor's options and child specifications, if anything.
/// @par Threads any thread
/// @par Errors errc::invalid_child_spec: no id or no start function, an id twice, a negative shutdown or start
/// time-out, a backoff that begins with nothing or more than its most, a significant child that is permanent or whose
/// supervisor never shuts down by itself, a period of less than a second, `simple_one_for_one` without exactly one
/// template, `max_children` for another strategy
/// @par Source OTP's `check_childspecs/2`.
[[nodiscard]] caf::error check(const supervisor_options& options);

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
  caf::actor who; ///< The child itself.
};

/// Adds a child and starts it; answered with `found_child`, whose handle is empty if the start function gave none.
/// @par Errors errc::invalid_child_spec; errc::child_running (OTP: `already_started`) or errc::child_present
/// (`already_present`) when the id is taken; errc::start_failed or errc::start_timeout, and the specification is not
/// kept; errc::simple_one_for_one
struct start_child {
  child_spec spec; ///< How to start it, now and later.
};
/// Stops a child; its specification stays, unless it is temporary. Answered with `child_done`.
/// @par Errors errc::child_not_found; errc::simple_one_for_one
struct terminate_child {
  child_id id; ///< Which child.
};
/// Starts a child that was stopped; answered with `found_child`.
/// @par Errors errc::child_not_found; errc::child_running; errc::child_restarting; errc::start_failed or
/// errc::start_timeout; errc::simple_one_for_one
struct restart_child {
  child_id id; ///< Which child.
};
/// Forgets a child that was stopped; answered with `child_done`.
/// @par Errors errc::child_not_found; errc::child_running; errc::child_restarting; errc::simple_one_for_one
struct delete_child {
  child_id id; ///< Which child.
};
/// Starts a child of a `simple_one_for_one` supervisor's template; answered with `found_child`.
/// @par Errors errc::start_failed or errc::start_timeout; errc::max_children; errc::invalid_child_spec from a supervisor
/// of another strategy
/// @par Source OTP's `start_child(Sup, Args)`.
struct start_dynamic_child {
  std::any argument; ///< For the start function, in `start_context::argument`.
};
/// Stops a child of a `simple_one_for_one` supervisor, which then forgets it. Answered with `child_done`, also when the
/// child has ended already.
/// @par Errors errc::child_not_found for a living actor that is none of its children
/// @par Source OTP's `terminate_child(Sup, Pid)`.
struct terminate_dynamic_child {
  caf::actor who; ///< Which child.
};
/// Asks for a child's specification; answered with `child_spec`. @par Errors errc::child_not_found
struct get_child_spec {
  child_id id; ///< Which child.
};
/// Replaces the strategy, the bounds and the child specifications of a running supervisor; answered with
/// `supervisor_changed`. Children that are specified anew go on, and follow their new specification from now on; those
/// that are specified for the first time are not started, `restart_child` does; those that are not specified any more
/// stay, behind the others. `name`, `kill_timeout`, `log` and the hooks stay as they are.
/// @par Errors errc::invalid_child_spec as `check` has it, and for a change from or to `simple_one_for_one`: nothing is
/// changed then
/// @par Source OTP's `code_change`.
struct change_supervisor {
  supervisor_options to; ///< As for `spawn_supervisor`.
};
struct supervisor_changed {};
/// The answer to what starts or looks up a child: who it is.
struct found_child {
  caf::actor who; ///< Empty where the start function gave none.
};
/// The answer to what was asked of a child: it is done.
struct child_done {
  child_id id; ///< Which child.
};

/// Asks for a supervisor's children, in start order: answered with `children`. The children of a template have its id
/// and a number. @par Errors errc::stopping when it was to wait its turn
struct which_children {
  bool in_turn = false; ///< Answered when all is done that was asked before, as OTP does; otherwise at once.
};
/// Asks how many children there are: answered with `child_counts`. @par Errors none
struct count_children {};

/// What a supervisor is doing with a child.
enum class child_state : std::uint8_t {
  starting,   ///< Its start function has run, and it has not reported yet.
  running,    ///
  stopping,   ///< It was asked to end.
  restarting, ///< It ended, and will be started again.
  stopped,    ///< It ended, or was stopped, and will not be started by itself.
};

/// In words. @par Threads any thread
[[nodiscard]] std::string_view name_of(child_state state) noexcept;

/// One child as its supervisor sees it.
struct child_info {
  child_id id;                                 ///< Its specification's.
  caf::actor who;                              ///< Empty unless it is starting, running or stopping.
  child_state state = child_state::stopped;    ///< What its supervisor does with it.
  child_type type = child_type::worker;        ///< Its specification's.
  std::uint64_t restarts = 0;                  ///< How often it was started again, its siblings' failures included.
  caf::error last_exit;                        ///< Why it last ended; empty also if it never did.
  std::chrono::steady_clock::time_point since; ///< When it entered its state, on the actor system's clock.
};

/// The answer to `which_children`.
struct children {
  std::vector<child_info> list; ///< In start order.
  std::uint64_t restarts = 0;   ///< How many failures this supervisor has answered with a restart.
};

/// @par Source OTP's `count_children`; `specs` is 1 for `simple_one_for_one`.
struct child_counts {
  std::size_t specs = 0;       ///< Child specifications.
  std::size_t active = 0;      ///< Children that run.
  std::size_t supervisors = 0; ///< Children that are supervisors, whether they run or not.
  std::size_t workers = 0;     ///< Children that are workers, whether they run or not.
};

} // namespace stargate

// clang-format off
#define STARGATE_SUPERVISOR_MESSAGES(X) \
  X(stargate::child_started) \
  X(stargate::start_child) \
  X(stargate::terminate_child) \
  X(stargate::restart_child) \
  X(stargate::delete_child) \
  X(stargate::start_dynamic_child) \
  X(stargate::terminate_dynamic_child) \
  X(stargate::get_child_spec) \
  X(stargate::child_spec) \
  X(stargate::change_supervisor) \
  X(stargate::supervisor_changed) \
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
