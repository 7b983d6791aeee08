/// @file
/// How a producer numbers its messages, so that the broker can drop what it is sent twice: pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace stargate::internal {

/// A policy beside the ledger. Pulsar's proxy numbers what a connection sends one by one, from the number behind its
/// `initialSequenceId` on; the broker drops a number that it has already under the producer's name. So the numbers of
/// the ledger's messages are their places behind the first under the name, and a connection that begins with the first
/// unanswered message gives each the number it had.
class numbering {
public:
  /// What the handshake of a connection says.
  struct start {
    std::string producer_name;
    std::int64_t initial_sequence_id = -1; ///< The number of the last message that needs no sending any more.
  };

  /// From the message `next` of the ledger on under a name that no broker knows: nobody can tell which numbers were
  /// used under the last one.
  void begin_anew(std::string name, std::uint64_t next) {
    name_ = std::move(name);
    zero_ = next;
  }

  /// For a connection that will begin with the message `next` of the ledger.
  [[nodiscard]] start connect(std::uint64_t next) {
    begins_with_ = next;
    return {name_, static_cast<std::int64_t>(next - zero_) - 1};
  }

  /// Whether the connection numbers rightly if it begins with `next`: messages may have been given up meanwhile.
  [[nodiscard]] bool holds(std::uint64_t next) const { return next == begins_with_; }

private:
  std::string name_;
  std::uint64_t zero_ = 0;
  std::uint64_t begins_with_ = 0;
};

} // namespace stargate::internal
