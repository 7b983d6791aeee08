/// @file
/// What a producer has accepted and the broker has not yet answered: pure, without actor or socket.
#pragma once

#include "actors/producer/publication.hpp"
#include "actors/shared/metrics.hpp"
#include "libstargate/base/late_deque.hpp"
#include "libstargate/connection/transport.hpp"
#include "libstargate/protocol/crypto.hpp"

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

namespace stargate::internal {

/// The unanswered publications of one producer, in order.
///
/// Publications are admitted up to `max_pending`; beyond that they wait, if their caller does, or are refused. An
/// admitted one keeps its frame until it is answered, to be sent again by the next connection.
class ledger {
public:
  using clock = std::chrono::steady_clock;

  ledger(std::string where, std::size_t max_pending, std::chrono::milliseconds send_timeout,
         std::shared_ptr<const protocol::encryptor> encrypts = {},
         std::shared_ptr<pipeline_metrics> counts = std::make_shared<pipeline_metrics>())
    : where_{std::move(where)},
      encrypts_{std::move(encrypts)},
      counts_{std::move(counts)},
      max_pending_{max_pending},
      send_timeout_{send_timeout} {}

  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;
  ~ledger(); ///< Drops what it still has: nobody answers it any more.

  /// Accepts a publication. Refused ones are answered.
  void publish(publication_ptr p, bool waits_for_room, clock::time_point now);

  /// The frames that were admitted since the last call, in order; from here on they count as transmitted.
  [[nodiscard]] std::vector<connection::frame> take_new();

  /// All unanswered frames in order, for a new connection; from here on they count as transmitted.
  [[nodiscard]] std::vector<connection::frame> take_all();

  /// The broker stored the message of this sequence. False when nobody waits for it (any more), which harms nothing.
  bool stored(std::uint64_t sequence, message_id id, clock::time_point now);
  /// The broker refused it. If an earlier connection had sent it, that one may have stored it: the outcome is unknown.
  bool rejected(std::uint64_t sequence, const std::string& why);

  /// Whatever was transmitted has an unknown outcome: nobody can tell any more what the broker made of it.
  void give_up_transmitted(const std::string& why);

  /// The first message that is not answered; the next to come when there is none.
  [[nodiscard]] std::uint64_t first() const { return first_sequence_; }

  /// Answers whatever waited longer than `send_timeout`. Gives how many admitted messages were given up unsent.
  std::size_t expire(clock::time_point now);
  /// When `expire` has something to do next.
  [[nodiscard]] std::optional<clock::time_point> next_expiry() const;

  /// Accepts nothing more, until `open`.
  void close() { closed_ = true; }
  void open() { closed_ = false; }
  [[nodiscard]] bool is_empty() const { return pending_.empty() && waiting_.empty(); }
  [[nodiscard]] std::size_t pending() const { return pending_count_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

private:
  struct entry {
    publication_ptr who; ///< Empty once it is answered.
    clock::time_point deadline;
    bool sent_before = false; ///< By a connection before the one that has it now.
  };
  struct waiting_entry {
    publication_ptr who;
    clock::time_point deadline;
  };

  entry* find(std::uint64_t sequence);
  void fetch_ahead(std::uint64_t sequence) const;
  void settle(entry& e, caf::expected<message_id> answer);
  void answer(publication& whom, caf::expected<message_id> what);
  void pop_settled();
  void admit(publication_ptr p, clock::time_point deadline);
  void admit_waiting();
  [[nodiscard]] caf::error failure(errc code, const std::string& why) const;

  const std::string where_;
  const std::shared_ptr<const protocol::encryptor> encrypts_; ///< Empty when payloads go out as they are.
  const std::shared_ptr<pipeline_metrics> counts_;
  const std::size_t max_pending_;
  const std::chrono::milliseconds send_timeout_;
  late_deque<entry> pending_; ///< The sequence of the first is `first_sequence_`.
  std::uint64_t first_sequence_ = 0;
  std::size_t new_from_ = 0; ///< The place in `pending_` from where on nothing was taken yet.
  std::size_t pending_count_ = 0;
  std::list<waiting_entry> waiting_;
  bool closed_ = false;
};

} // namespace stargate::internal
