/// @file
/// One face over the two generations of CAF that Stargate builds on: 0.17.6, as Debian and Ubuntu package it, and
/// 1.x, as vcpkg and Conan have it. Every other file of the project reaches CAF's changing parts through this one.
#pragma once

#include <stargate/export.hpp>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/behavior.hpp>
#include <caf/config.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/expected.hpp>
#include <caf/local_actor.hpp>
#include <caf/result.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/spawn_options.hpp>
#include <caf/system_messages.hpp>
#include <caf/type_id.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#if CAF_MAJOR_VERSION >= 1
#define STARGATE_CAF_1 1
#include <caf/anon_mail.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduler.hpp>
#else
#define STARGATE_CAF_1 0
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#endif

/// @name Declaring message types
/// CAF 1.x numbers every message type, 0.17 does not. A list of types is an X-macro `LIST(X)`; one call of
/// `STARGATE_MESSAGES` at global scope declares them for both. Our messages stay in the process, so none needs
/// `inspect`. @{
#ifndef STARGATE_FIRST_TYPE_ID
/// Where Stargate's type ids begin on CAF 1.x: far behind those that an application starts to count.
#define STARGATE_FIRST_TYPE_ID (caf::first_custom_type_id + 900)
#endif
#if STARGATE_CAF_1
#define STARGATE_BEGIN_TYPES(block, first) CAF_BEGIN_TYPE_ID_BLOCK(block, first)
#define STARGATE_TYPE(block, type) CAF_ADD_TYPE_ID(block, (type))
#define STARGATE_END_TYPES(block) CAF_END_TYPE_ID_BLOCK(block)
#define STARGATE_ERROR_ENUM(type, category) CAF_ERROR_CODE_ENUM(type)
#else
#define STARGATE_BEGIN_TYPES(block, first)
#define STARGATE_TYPE(block, type)
#define STARGATE_END_TYPES(block)
#define STARGATE_ERROR_ENUM(type, category) CAF_ERROR_CODE_ENUM(type, category)
#endif
#define STARGATE_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
/// @}

namespace STARGATE_API stargate {

// -- what every actor takes ------------------------------------------------------

/// For tests of supervision: whoever is sent this throws, as a defect of its own would make it. Every actor made with
/// `behave` takes it. @par Source OTP: `sys:terminate/2`, which every server takes.
struct induced_crash {
  std::string what;
};

} // namespace stargate

/// What is written once for both generations of CAF. It has a namespace of its own, so that a program that uses
/// `stargate` and `caf` finds no second `send` or `request` there.
namespace stargate::compat {

/// What an actor sends itself to do something later (`send_later`). Every actor made with `behave` takes it.
struct deferred {
  std::function<void()> what;
};

} // namespace stargate::compat

STARGATE_LOCAL_MESSAGE(stargate::induced_crash)
STARGATE_LOCAL_MESSAGE(stargate::compat::deferred)
STARGATE_BEGIN_TYPES(stargate_caf, STARGATE_FIRST_TYPE_ID + 160)
STARGATE_TYPE(stargate_caf, stargate::induced_crash)
STARGATE_TYPE(stargate_caf, stargate::compat::deferred)
STARGATE_END_TYPES(stargate_caf)

namespace stargate::compat {

// -- settings -----------------------------------------------------------------

/// Sets how many threads CAF's scheduler has; call it before the `actor_system` is made.
inline void set_scheduler_threads(caf::actor_system_config& config, std::size_t threads) {
#if STARGATE_CAF_1
  config.set("caf.scheduler.max-threads", threads);
#else
  config.set("scheduler.max-threads", threads);
#endif
}

/// Chooses CAF's `sharing` scheduler, which answers an idle actor sooner than the default `stealing` does and burns
/// nothing while it waits; call it before the `actor_system` is made.
inline void set_scheduler_sharing(caf::actor_system_config& config) {
#if STARGATE_CAF_1
  config.set("caf.scheduler.policy", "sharing");
#else
  config.set("scheduler.policy", caf::atom("sharing"));
#endif
}

// -- sending ------------------------------------------------------------------

/// Sends `content` from `self`. @par Threads only from within the actor `self`
template <class Self, class Handle, class Content>
void send(Self* self, const Handle& to, Content&& content) {
#if STARGATE_CAF_1
  self->mail(std::forward<Content>(content)).send(to);
#else
  self->send(to, std::forward<Content>(content));
#endif
}

/// Sends `content` from nobody. @par Threads any thread
template <class Handle, class Content>
void post(const Handle& to, Content&& content) {
#if STARGATE_CAF_1
  caf::anon_mail(std::forward<Content>(content)).send(to);
#else
  caf::anon_send(to, std::forward<Content>(content));
#endif
}

/// A duration as CAF takes it: 0.17 knows no units above minutes.
template <class Rep, class Period>
[[nodiscard]] constexpr std::chrono::nanoseconds timespan_of(std::chrono::duration<Rep, Period> time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time);
}

/// Sends `content` to `self` after `delay`, on the clock of the actor system (virtual in tests). There is no handle
/// to cancel it: let the content carry a generation. @par Threads only from within the actor `self`
template <class Self, class Rep, class Period, class Content>
void send_later(Self* self, std::chrono::duration<Rep, Period> delay, Content&& content) {
#if STARGATE_CAF_1
  self->mail(std::forward<Content>(content)).delay(timespan_of(delay)).send(caf::actor_cast<caf::actor>(self));
#else
  self->delayed_send(caf::actor_cast<caf::actor>(self), timespan_of(delay), std::forward<Content>(content));
#endif
}

/// Asks `to` to end for a reason, from nobody; `caf::exit_reason::kill` cannot be refused. It overtakes what waits in
/// the mailbox. @par Threads any thread
inline void send_exit(const caf::actor& to, caf::error why) {
  if (!to)
    return;
  const auto id = caf::make_message_id(caf::message_priority::high);
#if STARGATE_CAF_1
  to->enqueue(caf::make_mailbox_element(nullptr, id, caf::exit_msg{to.address(), std::move(why)}), nullptr);
#else
  to->enqueue(nullptr, id, caf::make_message(caf::exit_msg{to.address(), std::move(why)}), nullptr);
#endif
}

/// Requests an answer to `content`, to be used with `.then`, `.await` or, from a `scoped_actor`, `.receive`.
template <class Self, class Handle, class Rep, class Period, class Content>
[[nodiscard]] auto request(Self* self, const Handle& to, std::chrono::duration<Rep, Period> timeout,
                           Content&& content) {
#if STARGATE_CAF_1
  return self->mail(std::forward<Content>(content)).request(to, timespan_of(timeout));
#else
  return self->request(to, timespan_of(timeout), std::forward<Content>(content));
#endif
}

/// The same, with an answer that may take for ever: for whoever watches over the time itself. CAF 0.17 keeps a time-out,
/// and with it the actor, until it would be due, also when the answer has come long since.
template <class Self, class Handle, class Content>
[[nodiscard]] auto request_for_ever(Self* self, const Handle& to, Content&& content) {
#if STARGATE_CAF_1
  return self->mail(std::forward<Content>(content)).request(to, caf::infinite);
#else
  return self->request(to, caf::infinite, std::forward<Content>(content));
#endif
}

/// What a handler gives that leaves a request to another actor: its answer goes to whoever asked.
/// @par Threads only from within the actor `self`
template <class Self, class Content>
[[nodiscard]] caf::response_promise delegate(Self* self, const caf::actor& to, Content&& content) {
  auto promise = self->make_response_promise();
  promise.delegate(to, std::forward<Content>(content));
  return promise;
}

/// Answers a request with what came of it. @par Threads only from within the actor that made the promise
template <class T>
void fulfil(caf::response_promise& to, caf::expected<T> what) {
  if (what)
    to.deliver(std::move(*what));
  else
    to.deliver(std::move(what.error()));
}

/// What a handler gives that refuses a request. @par Threads only from within the actor `self`
template <class Self>
[[nodiscard]] caf::response_promise refuse(Self* self, caf::error why) {
  auto promise = self->make_response_promise();
  promise.deliver(std::move(why));
  return promise;
}

// -- actors -------------------------------------------------------------------

/// What a thread is that runs actors without being one of the scheduler's.
enum class inline_host : std::uint8_t {
  caller,    ///< Of somebody who hands over something.
  transport, ///< The transport's, which all connections wait for.
};

/// An actor that may be run by whoever wakes it. @par Threads the one that has woken it, and may run it now
class inline_runnable {
public:
  inline_runnable() = default;
  inline_runnable(const inline_runnable&) = delete;
  inline_runnable& operator=(const inline_runnable&) = delete;
  virtual ~inline_runnable() = default;
  [[nodiscard]] virtual bool may_run_inline(inline_host on) const = 0;
};

#if STARGATE_CAF_1
/// An actor whose state goes with its behavior. CAF 1.x has the behavior go, then tells monitors, and only then calls
/// `on_exit`: too late for a state beside which no successor may live.
class state_holder {
public:
  state_holder() = default;
  state_holder(const state_holder&) = delete;
  state_holder& operator=(const state_holder&) = delete;
  virtual ~state_holder() { *here_ = nullptr; }

  virtual void drop_state() = 0;
  /// For the behavior to hold.
  [[nodiscard]] std::shared_ptr<void> drop_with() {
    return {nullptr, [here = here_](void*) {
              if (*here != nullptr) // an actor that nobody can reach any more goes before its behavior does
                (*here)->drop_state();
            }};
  }

private:
  const std::shared_ptr<state_holder*> here_ = std::make_shared<state_holder*>(this);
};
#endif

/// An actor that is a `State`: the state is made in one step, from the actor and what it is spawned with, and goes when
/// the actor ends, before its monitors are told: a successor never lives beside it. `State` has a static `name` and a
/// member `make_behavior`, which uses `behave`, and may have `may_run_inline`.
/// @par Source `actor_from_state` of CAF 1.x
template <class State>
class state_actor : public caf::event_based_actor,
#if STARGATE_CAF_1
                    public state_holder,
#endif
                    public inline_runnable {
public:
  template <class... Arguments>
  explicit state_actor(caf::actor_config& config, Arguments&&... arguments)
    : caf::event_based_actor{config},
      state_{std::in_place, static_cast<caf::event_based_actor*>(this), std::forward<Arguments>(arguments)...} {}

  [[nodiscard]] const char* name() const override {
    return State::name;
  }
#if STARGATE_CAF_1
  void drop_state() override {
    state_.reset();
  }
#endif
  void on_exit() override {
    state_.reset(); // before the last handle goes: what it holds may hold this actor
    caf::event_based_actor::on_exit();
  }
  [[nodiscard]] bool may_run_inline(inline_host on) const override {
    if constexpr (requires(const State& s) { s.may_run_inline(on); })
      return state_ && state_->may_run_inline(on);
    else
      return false;
  }

protected:
  caf::behavior make_behavior() override {
    return state_->make_behavior();
  }

private:
  std::optional<State> state_;
};

/// Of an actor with a thread of its own, which may wait elsewhere than before its mailbox: has it hear of its mail there.
class mail_bell {
public:
  mail_bell() = default;
  mail_bell(const mail_bell&) = delete;
  mail_bell& operator=(const mail_bell&) = delete;
  virtual ~mail_bell() = default;

  /// From here on `ring` is called after whatever is put into the mailbox; an empty one ends that, and is not called any
  /// more when this returns. @par Threads the actor's; `ring` is called on those that send
  void on_mail(std::function<void()> ring) {
    const std::lock_guard guard{mutex_};
    ring_ = std::move(ring);
    is_wanted_ = static_cast<bool>(ring_);
  }

protected:
  void tell_of_mail() {
    if (!is_wanted_) // it is looked at after the mailbox was, and set before the actor looks into that
      return;
    const std::lock_guard guard{mutex_};
    if (ring_)
      ring_();
  }

private:
  std::atomic<bool> is_wanted_{false};
  std::mutex mutex_;
  std::function<void()> ring_;
};

/// Somebody who runs actors besides CAF's scheduler: is handed those that are woken. @par Threads any thread
class execution
#if STARGATE_CAF_1
  : public caf::scheduler {
#else
  : public caf::execution_unit {
#endif
public:
  explicit execution(caf::actor_system& system)
    :
#if !STARGATE_CAF_1
      caf::execution_unit{&system},
#endif
      system_of_{system} {
  }
  execution(const execution&) = delete;
  execution& operator=(const execution&) = delete;

#if STARGATE_CAF_1
  void schedule(caf::resumable* what) final {
    take(what);
  }
  void delay(caf::resumable* what) final {
    take(what);
  }
  void start() final {}
  void stop() final {}
#else
  void exec_later(caf::resumable* what) final {
    take(what);
  }
#endif

protected:
  /// @param what comes with a reference, as it does to CAF's own workers: `run` takes it
  virtual void take(caf::resumable* what) = 0;

  /// Has `what` take at most so many messages, and whom it wakes be handed to `by`. @return whether there is more
  [[nodiscard]] static bool run(caf::resumable* what, execution& by, std::size_t most) {
    if (what->resume(&by, most) == caf::resumable::resume_later)
      return true;
    intrusive_ptr_release(what);
    return false;
  }
  /// Sends `content` from nobody, and is handed whom that wakes.
  template <class Content>
  void post(const caf::actor& to, Content&& content) {
#if STARGATE_CAF_1
    to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), std::forward<Content>(content)), this);
#else
    to->enqueue(nullptr, caf::make_message_id(), caf::make_message(std::forward<Content>(content)), this);
#endif
  }
  /// Hands `what` on to CAF's scheduler.
  void leave(caf::resumable* what) {
#if STARGATE_CAF_1
    system_of_.scheduler().schedule(what);
#else
    system_of_.scheduler().enqueue(what);
#endif
  }
  [[nodiscard]] caf::actor_system& system_of() const {
    return system_of_;
  }

private:
  caf::actor_system& system_of_;
};

/// A `state_actor` that a certain `execution` runs, and not CAF's scheduler, and that is a `mail_bell`.
template <class State>
class hosted_state_actor final : public state_actor<State>, public mail_bell {
public:
  template <class... Arguments>
  explicit hosted_state_actor(caf::actor_config& config, std::shared_ptr<execution> host, Arguments&&... arguments)
    : state_actor<State>{config, std::forward<Arguments>(arguments)...},
      host_{std::move(host)} {}

  using state_actor<State>::enqueue;
#if STARGATE_CAF_1
  bool enqueue(caf::mailbox_element_ptr what, caf::scheduler*) override {
    const bool taken = state_actor<State>::enqueue(std::move(what), host_.get());
    tell_of_mail();
    return taken;
  }
  void launch(caf::scheduler*, bool lazy, bool hide) override {
    state_actor<State>::launch(host_.get(), lazy, hide);
  }
#else
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    state_actor<State>::enqueue(std::move(what), host_.get());
    tell_of_mail();
  }
  void launch(caf::execution_unit*, bool lazy, bool hide) override {
    state_actor<State>::launch(host_.get(), lazy, hide);
  }
#endif

private:
  const std::shared_ptr<execution> host_;
};

/// Spawns an actor that is a `State`. @par Threads any thread
template <class State, caf::spawn_options Options = caf::no_spawn_options, class... Arguments>
caf::actor spawn_state(caf::actor_system& system, Arguments&&... arguments) {
  return caf::actor_cast<caf::actor>(system.spawn<state_actor<State>, Options>(std::forward<Arguments>(arguments)...));
}

/// Spawns an actor that is a `State`, is run by `host`, and is a `mail_bell`. @par Threads any thread
template <class State, class... Arguments>
caf::actor spawn_hosted_state(caf::actor_system& system, std::shared_ptr<execution> host, Arguments&&... arguments) {
  return caf::actor_cast<caf::actor>(
    system.spawn<hosted_state_actor<State>>(std::move(host), std::forward<Arguments>(arguments)...));
}

/// Whether anything waits for `self` behind the message that it is about. @par Threads that of the actor
[[nodiscard]] inline bool has_mail(caf::scheduled_actor* self) {
  return !self->mailbox().empty();
}

/// Whether `who` has ended: from the moment its monitors are told on. @par Threads any thread
[[nodiscard]] inline bool has_ended(const caf::actor& who) {
  auto* ptr = caf::actor_cast<caf::abstract_actor*>(who);
  return ptr == nullptr || ptr->getf(caf::abstract_actor::is_terminated_flag);
}

/// An actor for people to read: its kind and its number. @par Threads any thread
[[nodiscard]] inline std::string display_name(const caf::actor& who) {
  const auto* ptr = dynamic_cast<caf::local_actor*>(caf::actor_cast<caf::abstract_actor*>(who));
  return (ptr != nullptr ? std::string{ptr->name()} : std::string{"actor"}) + "#" + std::to_string(who ? who.id() : 0);
}

/// What an actor does with the signals that CAF sends about others; an empty member leaves CAF's default.
struct signal_handlers {
  std::function<void(const caf::actor_addr& who, const caf::error& why)> down;
  std::function<void(const caf::actor_addr& from, const caf::error& why)> exit;
};

/// From here on `signal_handlers::down` of `self` runs once when `who` ends, at once if it has ended already: behind what
/// was sent to `self` before that, and before what is sent to it after.
template <class Self>
void monitor(Self* self, const caf::actor& who) {
#if STARGATE_CAF_1
  // As 0.17 does it, and Erlang: one message, which is in the mailbox from the death on and has its turn there. That of
  // 1.x's own `monitor` comes to the end of the mailbox a second time before `down` runs.
  if (!who)
    return;
  caf::actor_cast<caf::abstract_actor*>(who)->attach_functor(
    [of = who.address(), watcher = caf::actor_cast<caf::actor_addr>(self)](const caf::error& why) {
      if (const auto to = caf::actor_cast<caf::strong_actor_ptr>(watcher))
        to->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), caf::down_msg{of, why}), nullptr);
    });
#else
  self->monitor(who);
#endif
}

/// Makes the behavior of `self` from message handlers and signal handlers. An exception that leaves a handler ends
/// the actor with `caf::sec::runtime_error` and the text of the exception, on both generations of CAF alike.
template <class Self, class... Handlers>
[[nodiscard]] caf::behavior behave(Self* self, signal_handlers signals, Handlers... handlers) {
  self->set_exception_handler([](std::exception_ptr& thrown) -> caf::error {
    std::string what = "an exception that is not a std::exception";
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      what = e.what();
    } catch (...) {
    }
    return caf::make_error(caf::sec::runtime_error, std::move(what));
  });
#if STARGATE_CAF_1
  auto* holder = dynamic_cast<state_holder*>(self);
  const auto state = holder != nullptr ? holder->drop_with() : std::shared_ptr<void>{};
  const auto crash = [state](const induced_crash& m) { throw std::runtime_error{m.what}; };
#else
  const auto crash = [](const induced_crash& m) { throw std::runtime_error{m.what}; };
#endif
  const auto later = [](const deferred& m) { m.what(); };
#if STARGATE_CAF_1
  return caf::behavior{
    std::move(handlers)...,
    crash,
    later,
    [down = std::move(signals.down)](const caf::down_msg& m) {
      if (down)
        down(m.source, m.reason);
    },
    [self, exit = std::move(signals.exit)](const caf::exit_msg& m) {
      if (exit)
        exit(m.source, m.reason);
      else if (m.reason)
        self->quit(m.reason);
    },
  };
#else
  if (signals.down)
    self->set_down_handler([down = std::move(signals.down)](caf::down_msg& m) { down(m.source, m.reason); });
  if (signals.exit)
    self->set_exit_handler([exit = std::move(signals.exit)](caf::exit_msg& m) { exit(m.source, m.reason); });
  return caf::behavior{std::move(handlers)..., crash, later};
#endif
}

// -- errors -------------------------------------------------------------------

/// Whether `e` carries a code of the enumeration `Enum`.
template <class Enum>
[[nodiscard]] bool is_of(const caf::error& e) {
#if STARGATE_CAF_1
  return e && e.category() == caf::type_id_v<Enum>;
#else
  return e && e.category() == caf::detail::error_factory<Enum>::category;
#endif
}

/// Whether a request came to nothing because whoever was asked has ended, before it took the request or with it in hand.
[[nodiscard]] inline bool is_receiver_down(const caf::error& e) {
#if STARGATE_CAF_1
  return e == caf::sec::request_receiver_down || e == caf::sec::broken_promise;
#else
  return e == caf::sec::request_receiver_down;
#endif
}

/// The text that an error carries, or nothing.
[[nodiscard]] inline std::string context_of(const caf::error& e) {
  if (!e)
    return {};
  const auto& content = e.context();
#if STARGATE_CAF_1
  return content.match_elements<std::string>() ? content.get_as<std::string>(0) : std::string{};
#else
  return content.size() == 1 && content.match_element<std::string>(0) ? content.get_as<std::string>(0) : std::string{};
#endif
}

} // namespace stargate::compat

namespace stargate::internal {
using namespace compat;
} // namespace stargate::internal
