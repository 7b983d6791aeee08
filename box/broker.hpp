/// @file
/// A broker in a box: Pulsar's WebSocket API and its administration, in memory, without a socket, a thread or a clock.
///
/// It does what a Pulsar 4.0 with its defaults does, and is held against one (`integration/model`). What it does not do
/// it refuses: quotas, compaction, replication, schemas, transactions.
#pragma once

#include "box/access.hpp"
#include "box/catalogue.hpp"
#include "box/connection.hpp"
#include "box/timers.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace stargate::box {

/// An HTTP answer.
struct answer {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::string phrase{}; ///< Behind the status; that of the status when it is empty.
};

/// What Pulsar's configuration says of it.
struct broker_settings {
  std::optional<access_rules> access; ///< Without them, everybody may do everything.
  bool creates_topics = true;         ///< allowAutoTopicCreation
  bool deduplicates = false;          ///< brokerDeduplicationEnabled
};

/// @par Threads one at a time; it calls its peers from where it is called
class broker {
public:
  /// @param wall_clock milliseconds since 1970 at the time 0
  explicit broker(std::int64_t wall_clock, broker_settings s = {});

  /// A handshake. @param target the path with its query, encoded; @param to gets frames after this has returned, and
  /// `advance` was called @param authorization the header, or nothing
  /// @return the connection; or null and in `refused` the answer instead
  [[nodiscard]] std::shared_ptr<connection> open(std::string_view target, std::shared_ptr<peer> to, answer& refused,
                                                 std::string_view authorization = {});

  /// A request of the administration. @param target the path with its query, encoded
  /// @param authorization the header, or nothing
  [[nodiscard]] answer request(std::string_view method, std::string_view target, std::string_view body,
                               std::string_view authorization = {});

  /// Goes on to a time, and does what is due until then.
  void advance(micros now) { timers_.advance(now); }
  [[nodiscard]] micros next_due() const { return timers_.next_due(); }

  [[nodiscard]] catalogue& all() { return all_; }

private:
  /// Who has shown a token, in the header or else in the query. Everybody, where none is asked for.
  [[nodiscard]] std::optional<caller> caller_with(std::string_view authorization, std::string_view target) const;

  timers timers_;
  catalogue all_;
  std::optional<access_rules> access_;
};

/// The error page of Pulsar's web server.
[[nodiscard]] answer error_page(int status, std::string_view message, std::string_view target);

} // namespace stargate::box
