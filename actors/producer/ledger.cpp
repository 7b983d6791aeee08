#include "actors/producer/ledger.hpp"

#include "libstargate/protocol/frames.hpp"

#include <algorithm>
#include <utility>

namespace stargate::internal {

ledger::~ledger() {
  for (const auto& e : pending_)
    if (e.who) {
      (e.who->is_transmitted() ? counts_->unknown : counts_->failed).add();
      e.who->drop(); // a connection may still have its frame, and it with that
    }
  counts_->failed.add(waiting_.size());
}

caf::error ledger::failure(errc code, const std::string& why) const {
  return make_error(code, where_ + ": " + why);
}

void ledger::publish(publication_ptr p, bool waits_for_room, clock::time_point now) {
  const auto deadline = now + send_timeout_;
  counts_->produced.add();
  if (closed_)
    return answer(*p, failure(errc::stopping, "the producer is shutting down and takes no more messages"));
  if (pending_count_ < max_pending_ && waiting_.empty())
    return admit(std::move(p), deadline);
  if (waits_for_room)
    waiting_.push_back({std::move(p), deadline});
  else
    answer(*p, failure(errc::queue_full, std::to_string(pending_count_)
                                           + " messages await their receipts, as many as max_pending allows; slow "
                                             "down, or raise max_pending"));
}

void ledger::admit(publication_ptr p, clock::time_point deadline) {
  auto encoded = protocol::encode_message(p->take_content(), first_sequence_ + pending_.size(), encrypts_.get());
  if (!encoded)
    return answer(*p, failure(code_of(encoded.error()), context_of(encoded.error())));
  p->become(std::move(*encoded));
  pending_.push_back({std::move(p), deadline, false});
  ++pending_count_;
}

void ledger::admit_waiting() {
  while (!waiting_.empty() && pending_count_ < max_pending_) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    admit(std::move(next.who), next.deadline);
  }
}

std::vector<connection::frame> ledger::take_new() {
  std::vector<connection::frame> frames;
  frames.reserve(pending_.size() - new_from_);
  for (; new_from_ < pending_.size(); ++new_from_) {
    auto& e = pending_[new_from_];
    if (!e.who)
      continue;
    e.who->mark_transmitted();
    frames.emplace_back(e.who, &e.who->frame());
  }
  return frames;
}

std::vector<connection::frame> ledger::take_all() {
  for (std::size_t i = 0; i < new_from_; ++i)
    pending_[i].sent_before = true;
  new_from_ = 0;
  return take_new();
}

ledger::entry* ledger::find(std::uint64_t sequence) {
  if (sequence < first_sequence_ || sequence - first_sequence_ >= pending_.size())
    return nullptr;
  auto& e = pending_[sequence - first_sequence_];
  return e.who ? &e : nullptr;
}

void ledger::settle(entry& e, caf::expected<message_id> answer) {
  --pending_count_;
  const auto whom = std::exchange(e.who, nullptr);
  this->answer(*whom, std::move(answer));
}

void ledger::answer(publication& whom, caf::expected<message_id> what) {
  if (what)
    counts_->stored.add();
  else if (code_of(what.error()) == errc::outcome_unknown)
    counts_->unknown.add();
  else
    counts_->failed.add();
  whom.answer(std::move(what));
}

void ledger::pop_settled() {
  while (!pending_.empty() && !pending_.front().who) {
    pending_.pop_front();
    ++first_sequence_;
    new_from_ -= new_from_ > 0 ? 1 : 0;
  }
}

/// Receipts come in order. What one settles was last touched by another thread, hundreds of messages ago: nearly all the time
/// that `settle` took was waiting for that memory.
void ledger::fetch_ahead(std::uint64_t sequence) const {
  constexpr std::size_t far = 10, near = 5;           // messages ahead
  constexpr std::size_t touched = 3, cache_line = 64; // of a publication, what settling touches lies in its first lines
  const auto place = sequence - first_sequence_;
  if (place + far < pending_.size() && pending_[place + far].who) {
    const auto* const who = reinterpret_cast<const char*>(pending_[place + far].who.get());
    for (std::size_t line = 0; line < touched; ++line)
      __builtin_prefetch(who + line * cache_line);
  }
  if (place + near < pending_.size())
    if (const auto& who = pending_[place + near].who)
      who->frame().fetch();
}

bool ledger::stored(std::uint64_t sequence, message_id id, clock::time_point now) {
  auto* e = find(sequence);
  if (e == nullptr)
    return false;
  fetch_ahead(sequence);
  counts_->receipts.add(now - (e->deadline - send_timeout_));
  settle(*e, std::move(id));
  pop_settled();
  admit_waiting();
  return true;
}

bool ledger::rejected(std::uint64_t sequence, const std::string& why) {
  auto* e = find(sequence);
  if (e == nullptr)
    return false;
  settle(*e, e->sent_before
               ? failure(errc::outcome_unknown, "the broker refused the message when it was sent again: " + why
                                                  + "; an earlier connection had sent it, and it may be stored")
               : failure(errc::rejected, "the broker refused the message: " + why));
  pop_settled();
  admit_waiting();
  return true;
}

void ledger::give_up_transmitted(const std::string& why) {
  for (std::size_t i = 0; i < new_from_; ++i)
    if (auto& e = pending_[i]; e.who)
      settle(e, failure(errc::outcome_unknown, why + "; the message may be stored"));
  pop_settled();
  admit_waiting();
}

std::size_t ledger::expire(clock::time_point now) {
  std::size_t unsent = 0;
  // Deadlines are in order, since all messages wait equally long.
  for (auto& e : pending_) {
    if (e.deadline > now)
      break;
    unsent += e.who && !e.who->is_transmitted() ? 1 : 0;
    if (e.who)
      settle(e, e.who->is_transmitted()
                  ? failure(errc::outcome_unknown, "the message was sent, and no receipt came within "
                                                     + std::to_string(send_timeout_.count()) + " ms; it may be stored")
                  : failure(errc::not_sent, "there was no connection to the broker for "
                                              + std::to_string(send_timeout_.count()) + " ms"));
  }
  pop_settled();
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    auto late = std::move(waiting_.front());
    waiting_.pop_front();
    answer(*late.who,
           failure(errc::not_sent, "earlier messages took all of " + std::to_string(send_timeout_.count()) + " ms"));
  }
  admit_waiting();
  return unsent;
}

std::optional<ledger::clock::time_point> ledger::next_expiry() const {
  std::optional<clock::time_point> next;
  const auto first = std::find_if(pending_.begin(), pending_.end(), [](const entry& e) { return e.who != nullptr; });
  if (first != pending_.end())
    next = first->deadline;
  if (!waiting_.empty())
    next = next ? std::min(*next, waiting_.front().deadline) : waiting_.front().deadline;
  return next;
}

} // namespace stargate::internal
