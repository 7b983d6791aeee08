/// @file
/// Every error that Stargate gives, and every reason for which one of its actors ends.
#pragma once

#include <stargate/caf.hpp>
#include <stargate/export.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace STARGATE_API stargate {

/// What went wrong. Each error carries a sentence that names the topic, key or host, and what to do: `describe` has it.
/// The numbers stay what they are.
enum class errc : std::uint8_t {
  none = 0,
  // -- configuration: the same attempt fails again until somebody changes something
  invalid_option = 1,    ///< One or more options are wrong; the text names every one of them.
  invalid_topic = 2,     ///< A topic's name cannot be used.
  invalid_url = 3,       ///< A URL cannot be used.
  invalid_message = 4,   ///< A message cannot be encoded: its key or a property is not UTF-8.
  message_too_large = 5, ///< The encoded message is larger than the broker, or this tree, takes in one frame.
  bad_request = 6, ///< The broker refuses the handshake with 400, or says that it will not take it until something is
                   ///< changed: a parameter, a topic's name, a schema, a position.
  topic_terminated = 7, ///< The broker says that the topic was terminated: nobody can produce to it any more.
  unauthorized = 8,     ///< The broker refuses the handshake with 401: no token, or a bad one.
  forbidden = 9,        ///< The broker refuses the handshake with 403: the role may not do this.
  not_found = 10,       ///< The broker refuses the handshake with 404: no such tenant, namespace or topic.
  untrusted = 11,       ///< TLS: the broker's certificate is not to be trusted, or the broker does not take ours.
  crypto_failed = 12,   ///< A message cannot be encrypted or decrypted: a key is missing or wrong.
  would_block = 13,     ///< A call that waits was made on a thread of CAF's scheduler, where it would keep others from
                        ///< running.
  // -- transient: a later attempt may succeed
  unresolved_host = 14,    ///< The host's name does not resolve.
  connection_failed = 15,  ///< Nothing answers at the host, or not as a WebSocket server.
  connection_lost = 16,    ///< An established connection ended.
  conflict = 17,           ///< 409: another client holds the exclusive subscription or the producer's name.
  broker_unavailable = 18, ///< 429 or 5xx: the broker cannot serve this now.
  no_token = 19,           ///< The file or the function that gives the token did not; the text never holds a token.
  queue_full = 20,         ///< As many messages as `max_pending` allows await their receipts.
  not_sent = 21,           ///< The message was not sent and is not stored: sending it again makes no duplicate.
  outcome_unknown = 22,    ///< The message was sent, and no receipt came in time: it may or may not be stored.
  rejected = 23,           ///< The broker answered the message with an error; its text is in ours.
  timed_out = 24,          ///< A wait reached its deadline.
  stopping = 25,           ///< The tree, or the actor asked, is shutting down.
  // -- registry
  already_registered = 26, ///< The key has a living holder; the text names it.
  not_registered = 27,     ///< No living actor has the key.
  // -- supervisor
  invalid_child_spec = 28, ///< A child specification is wrong, or its id stands twice.
  child_not_found = 29,    ///< No child has this id. (OTP: `not_found`)
  child_present = 30,      ///< A child with this id is there, and is not running. (OTP: `already_present`)
  child_running = 31,      ///< A child with this id is there, and runs. (OTP: `running`, `already_started`)
  child_restarting = 32,   ///< The child is waiting to be restarted. (OTP: `restarting`)
  start_failed = 33,  ///< A child's start function gave an error or threw, or the child ended before it had started.
  start_timeout = 34, ///< A child did not report that it had started in time.
  simple_one_for_one = 35, ///< A supervisor of this strategy has no child by that id, only a template. (OTP: the same)
  max_children = 36,       ///< The supervisor has as many children as it may. (Elixir: the same)
  // -- defects: broken promises, which end the actor that finds them
  protocol_violation = 37, ///< The broker sent what it never sends.
  handler_failed = 38,     ///< A message handler threw, or took longer than it may.
};

/// What an error asks for: give up, try again, or crash and let the supervisor decide.
enum class error_class : std::uint8_t { configuration, transient, defect };

/// Why an actor of Stargate ended, where it was not a crash with an `errc`.
/// @par Source OTP's exit reasons: `shutdown` and `{shutdown, Term}` are `shutdown`, with the term as its text.
enum class exit_code : std::uint8_t {
  none = 0,
  shutdown,   ///< Asked to by its supervisor, or by a supervisor that gave up. Counts as normal for a transient child.
  owner_down, ///< The actor it worked for has ended.
};

/// The code in words, such as `not registered`. @par Threads any thread
[[nodiscard]] std::string_view name_of(errc code) noexcept;
/// The code in words. @par Threads any thread
[[nodiscard]] std::string_view name_of(exit_code code) noexcept;
/// What there is to be done about it. @par Threads any thread
[[nodiscard]] error_class class_of(errc code) noexcept;

/// The code of an error, `errc::none` if it is none of ours. @par Threads any thread
[[nodiscard]] errc code_of(const caf::error& e) noexcept;

/// An error in one line: the code's name and its text. It never contains a token. @par Threads any thread
[[nodiscard]] std::string describe(const caf::error& e);

/// Whether an actor that ended with `reason` ended well, so that a transient child is not restarted.
/// @par Source OTP: `normal`, `shutdown` and `{shutdown, Term}`. In CAF an empty error is `normal`, and
/// `caf::exit_reason::user_shutdown` and `exit_code::shutdown` are `shutdown`.
[[nodiscard]] bool is_normal_exit(const caf::error& reason) noexcept;

/// As `name_of`; for CAF.
std::string to_string(errc code);
/// As `name_of`; for CAF.
std::string to_string(exit_code code);
/// Reads what `to_string` gives; false when it is not that. For CAF.
bool from_string(std::string_view text, errc& code);
/// Reads what `to_string` gives; false when it is not that. For CAF.
bool from_string(std::string_view text, exit_code& code);
/// For CAF.
template <class Inspector>
bool inspect(Inspector& f, errc& code);
/// For CAF.
template <class Inspector>
bool inspect(Inspector& f, exit_code& code);

} // namespace stargate

STARGATE_BEGIN_TYPES(stargate_errors, STARGATE_FIRST_TYPE_ID)
STARGATE_TYPE(stargate_errors, stargate::errc)
STARGATE_TYPE(stargate_errors, stargate::exit_code)
STARGATE_END_TYPES(stargate_errors)

STARGATE_ERROR_ENUM(stargate::errc, "stargate")
STARGATE_ERROR_ENUM(stargate::exit_code, "sgexit")

namespace STARGATE_API stargate {

#if STARGATE_CAF_1
template <class Inspector, class Enum>
bool inspect_code(Inspector& f, Enum& code) {
  auto get = [&code] { return static_cast<std::uint8_t>(code); };
  auto set = [&code](std::uint8_t value) {
    code = static_cast<Enum>(value);
    return true;
  };
  return f.apply(get, set);
}
template <class Inspector>
bool inspect(Inspector& f, errc& code) {
  return inspect_code(f, code);
}
template <class Inspector>
bool inspect(Inspector& f, exit_code& code) {
  return inspect_code(f, code);
}
#endif

/// An error of ours with its sentence. @par Threads any thread, also before `main`
[[nodiscard]] caf::error make_error(errc code, std::string text);
/// An error with a text for people. @par Threads any thread, also before `main`
[[nodiscard]] caf::error make_error(exit_code code, std::string text);

} // namespace stargate
