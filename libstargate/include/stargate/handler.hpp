/// @file
/// What an application does with the messages of a consumer or reader.
#pragma once

#include <stargate/message.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace stargate {

/// What becomes of a message that a handler has seen.
enum class disposition : std::uint8_t {
  ack,       ///< Done: acknowledge it to the broker.
  continue_, ///< Not done: the application acknowledges it later, with `received_message::acknowledge`.
  nack,      ///< Not done: let the broker deliver it again.
};

/// Where a handler runs.
struct handler_context {
  topic_name topic;
  std::string component;     ///< The processor's component in the registry, such as `processor/billing/0`.
  std::size_t processor = 0; ///< Counts the processors of one consumer or reader.
};

/// Handles the messages of one processor. Each processor makes one of its own, and makes a new one after a restart,
/// so members need no locks.
/// @par Source `Stargate.Receiver.MessageHandler` of the Elixir original.
class message_handler {
public:
  message_handler() = default;
  message_handler(const message_handler&) = delete;
  message_handler& operator=(const message_handler&) = delete;
  virtual ~message_handler() = default;

  /// Runs before the first message. An exception ends the processor: its supervisor decides.
  virtual void init(const handler_context&) {}

  /// Handles a message. An exception ends the processor; the message is not acknowledged and comes again.
  /// @par Threads one at a time, on the processor's own thread (`consumer_options::run_on`)
  [[nodiscard]] virtual disposition handle_message(const received_message& message) = 0;

  /// Handles up to `batch_size` messages at once, where that option is more than 1: an answer for each, in their
  /// order. By itself it handles one after the other. An exception is about all of them.
  [[nodiscard]] virtual std::vector<disposition> handle_batch(std::span<const received_message> batch) {
    std::vector<disposition> answers;
    for (const auto& message : batch)
      answers.push_back(handle_message(message));
    return answers;
  }
};

/// Makes handlers, one for each processor. It is made from a factory of handlers, or from a function of a message.
class handler_factory {
public:
  handler_factory() = default;

  /// From a function that makes a handler: `[] { return std::make_unique<billing>(); }`.
  template <class F>
  requires std::is_invocable_r_v<std::unique_ptr<message_handler>, F&> handler_factory(F make)
    : make_{std::move(make)} {}

  /// From a function of a message, which keeps no state: `[](const received_message& m) { …; return disposition::ack;
  /// }`. All processors call copies of it at the same time.
  template <class F>
  requires std::is_invocable_r_v<disposition, F&, const received_message&> handler_factory(F handle) {
    class stateless final : public message_handler {
    public:
      explicit stateless(F f) : handle_{std::move(f)} {}
      disposition handle_message(const received_message& message) override { return handle_(message); }

    private:
      F handle_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<stateless>(handle); };
  }

  /// From a function of a batch, which keeps no state and answers for each message.
  template <class F>
  requires std::is_invocable_r_v<
    std::vector<disposition>, F&,
    std::span<const received_message>> && (!std::is_invocable_v<F&, const received_message&>)handler_factory(F handle) {
    class stateless final : public message_handler {
    public:
      explicit stateless(F f) : handle_{std::move(f)} {}
      disposition handle_message(const received_message& message) override { return handle_({&message, 1}).at(0); }
      std::vector<disposition> handle_batch(std::span<const received_message> batch) override { return handle_(batch); }

    private:
      F handle_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<stateless>(handle); };
  }

  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(make_); }
  [[nodiscard]] std::unique_ptr<message_handler> operator()() const { return make_(); }

private:
  std::function<std::unique_ptr<message_handler>()> make_;
};

/// A handler with state, from two functions: `init` makes the state of a processor, `handle` takes a message and the
/// state, which it may change.
template <std::invocable Init, class Handle>
requires std::is_invocable_r_v < disposition, Handle&, const received_message&, std::invoke_result_t<Init>
& > [[nodiscard]] handler_factory stateful(Init init, Handle handle) {
  using state = std::invoke_result_t<Init>;
  class with_state final : public message_handler {
  public:
    with_state(Init make, Handle how) : state_(make()), handle_{std::move(how)} {}
    disposition handle_message(const received_message& message) override { return handle_(message, state_); }

  private:
    state state_;
    Handle handle_;
  };
  return handler_factory{[init = std::move(init), handle = std::move(handle)]() -> std::unique_ptr<message_handler> {
    return std::make_unique<with_state>(init, handle);
  }};
}

/// A handler of the class `Handler`, made with copies of `arguments`.
template <std::derived_from<message_handler> Handler, class... Arguments>
[[nodiscard]] handler_factory make_handler(Arguments... arguments) {
  return handler_factory{
    [arguments...]() -> std::unique_ptr<message_handler> { return std::make_unique<Handler>(arguments...); }};
}

} // namespace stargate
