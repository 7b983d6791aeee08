#include <stargate/error.hpp>

#include <array>
#include <utility>

namespace stargate {

using namespace compat;

namespace {

struct row {
  errc code;
  std::string_view name;
  error_class kind;
};

constexpr auto configuration = error_class::configuration;
constexpr auto transient = error_class::transient;
constexpr auto defect = error_class::defect;

constexpr std::array rows{
  row{errc::none, "none", transient},
  row{errc::invalid_option, "invalid option", configuration},
  row{errc::invalid_topic, "invalid topic", configuration},
  row{errc::invalid_url, "invalid URL", configuration},
  row{errc::invalid_message, "invalid message", configuration},
  row{errc::message_too_large, "message too large", configuration},
  row{errc::bad_request, "bad request", configuration},
  row{errc::topic_terminated, "topic terminated", configuration},
  row{errc::unauthorized, "unauthorized", configuration},
  row{errc::forbidden, "forbidden", configuration},
  row{errc::not_found, "not found", configuration},
  row{errc::untrusted, "untrusted", configuration},
  row{errc::crypto_failed, "encryption failed", configuration},
  row{errc::would_block, "would block", configuration},
  row{errc::unresolved_host, "unresolved host", transient},
  row{errc::connection_failed, "connection failed", transient},
  row{errc::connection_lost, "connection lost", transient},
  row{errc::conflict, "conflict", transient},
  row{errc::broker_unavailable, "broker unavailable", transient},
  row{errc::no_token, "no token", transient},
  row{errc::queue_full, "queue full", transient},
  row{errc::not_sent, "not sent", transient},
  row{errc::outcome_unknown, "outcome unknown", transient},
  row{errc::rejected, "rejected", configuration},
  row{errc::timed_out, "timed out", transient},
  row{errc::stopping, "stopping", transient},
  row{errc::already_registered, "already registered", configuration},
  row{errc::not_registered, "not registered", transient},
  row{errc::invalid_child_spec, "invalid child specification", configuration},
  row{errc::child_not_found, "child not found", configuration},
  row{errc::child_present, "child already present", configuration},
  row{errc::child_running, "child already running", configuration},
  row{errc::child_restarting, "child restarting", transient},
  row{errc::start_failed, "start failed", defect},
  row{errc::start_timeout, "start timed out", defect},
  row{errc::simple_one_for_one, "simple_one_for_one", configuration},
  row{errc::max_children, "max_children", transient},
  row{errc::protocol_violation, "protocol violation", defect},
  row{errc::handler_failed, "handler failed", defect},
};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (static_cast<std::size_t>(rows[i].code) != i)
      return false;
  return rows.size() == static_cast<std::size_t>(errc::handler_failed) + 1;
}
static_assert(rows_are_in_order());

const row& row_of(errc code) {
  const auto index = static_cast<std::size_t>(code);
  return rows[index < rows.size() ? index : 0];
}

template <class Code>
bool code_from(std::string_view text, Code last, Code& code) {
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(last); ++i)
    if (name_of(static_cast<Code>(i)) == text) {
      code = static_cast<Code>(i);
      return true;
    }
  return false;
}

std::string with_text(std::string_view name, std::string text) {
  return text.empty() ? std::string{name} : std::string{name} + ": " + std::move(text);
}

/// An error may be the first thing that a program makes, in a static variable of its own: CAF 1.x has to know what is in
/// it, or the program ends with it.
template <class Code>
caf::error error_of(Code code, std::string text) {
#if STARGATE_CAF_1
  static const bool known = [] {
    caf::core::init_global_meta_objects();
    caf::init_global_meta_objects<caf::id_block::stargate_errors>();
    return true;
  }();
  static_cast<void>(known);
#endif
  return caf::make_error(code, std::move(text));
}

} // namespace

caf::error make_error(errc code, std::string text) {
  return error_of(code, std::move(text));
}

caf::error make_error(exit_code code, std::string text) {
  return error_of(code, std::move(text));
}

std::string_view name_of(errc code) noexcept {
  return row_of(code).name;
}

std::string_view name_of(exit_code code) noexcept {
  switch (code) {
    case exit_code::none: return "none";
    case exit_code::shutdown: return "shutdown";
    case exit_code::owner_down: return "owner down";
  }
  return "none";
}

error_class class_of(errc code) noexcept {
  return row_of(code).kind;
}

errc code_of(const caf::error& e) noexcept {
  return is_of<errc>(e) ? static_cast<errc>(e.code()) : errc::none;
}

std::string describe(const caf::error& e) {
  if (!e)
    return "normal";
  if (is_of<errc>(e))
    return with_text(name_of(static_cast<errc>(e.code())), context_of(e));
  if (is_of<exit_code>(e))
    return with_text(name_of(static_cast<exit_code>(e.code())), context_of(e));
  if (e == caf::exit_reason::kill)
    return "killed";
  if (e == caf::exit_reason::user_shutdown)
    return "shutdown";
  if (e == caf::sec::runtime_error)
    return with_text("exception", context_of(e));
  if (e == caf::sec::request_timeout)
    return "request timed out";
  if (is_receiver_down(e))
    return "the actor that was asked has ended";
  return caf::to_string(e);
}

bool is_normal_exit(const caf::error& reason) noexcept {
  if (!reason || reason == caf::exit_reason::user_shutdown)
    return true;
  return is_of<exit_code>(reason) && static_cast<exit_code>(reason.code()) == exit_code::shutdown;
}

std::string to_string(errc code) {
  return std::string{name_of(code)};
}
std::string to_string(exit_code code) {
  return std::string{name_of(code)};
}
bool from_string(std::string_view text, errc& code) {
  return code_from(text, errc::handler_failed, code);
}
bool from_string(std::string_view text, exit_code& code) {
  return code_from(text, exit_code::owner_down, code);
}

} // namespace stargate
