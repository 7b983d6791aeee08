#include <stargate/error.hpp>

#include <catch2/catch.hpp>

#include <utility>

using namespace stargate;

namespace {

const caf::error of_static_variable = make_error(errc::not_found, "before main");

} // namespace

TEST_CASE("an error may be the first thing that a program makes, and it may go again") {
  CHECK(describe(of_static_variable) == "not found: before main");
  auto copy = of_static_variable;
  CHECK(describe(std::exchange(copy, {})) == "not found: before main");
}

TEST_CASE("an error is described by its name and its sentence") {
  CHECK(describe(make_error(errc::not_found, "no topic x")) == "not found: no topic x");
  CHECK(describe(make_error(exit_code::shutdown, "closed")) == "shutdown: closed");
  CHECK(describe({}) == "normal");
  CHECK(describe(caf::exit_reason::kill) == "killed");
  CHECK(describe(caf::make_error(caf::sec::runtime_error, std::string{"boom"})) == "exception: boom");
}

TEST_CASE("codes are told apart from other errors") {
  CHECK(code_of(make_error(errc::queue_full, "")) == errc::queue_full);
  CHECK(code_of(make_error(exit_code::shutdown, "")) == errc::none);
  CHECK(code_of(caf::sec::runtime_error) == errc::none);
  CHECK(code_of({}) == errc::none);
}

TEST_CASE("normal exits are OTP's normal, shutdown and {shutdown, Term}") {
  CHECK(is_normal_exit({}));
  CHECK(is_normal_exit(caf::exit_reason::user_shutdown));
  CHECK(is_normal_exit(make_error(exit_code::shutdown, "any term")));
  CHECK_FALSE(is_normal_exit(caf::exit_reason::kill));
  CHECK_FALSE(is_normal_exit(make_error(errc::handler_failed, "")));
  CHECK_FALSE(is_normal_exit(make_error(exit_code::owner_down, "")));
}

TEST_CASE("the class decides between giving up, trying again and crashing") {
  CHECK(class_of(errc::unauthorized) == error_class::configuration);
  CHECK(class_of(errc::conflict) == error_class::transient);
  CHECK(class_of(errc::protocol_violation) == error_class::defect);
}
