#include "libstargate/connection/session.hpp"

#include "libstargate/connection/give_back.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>

namespace stargate::connection {

namespace {

constexpr std::size_t bytes_a_write = 256u << 10;       // masked at a time
constexpr std::size_t out_to_keep = 512u << 10;         // a larger buffer is given back after use
constexpr std::size_t frames_to_keep = 4096;            // room for more is given back after use
constexpr std::size_t frames_a_batch = 1024;            // then the observer is told, even in the middle of a wake-up
constexpr std::size_t reads_a_turn = 8;                 // then other connections have theirs
constexpr auto time_to_close = std::chrono::seconds{5}; // for what is unsent, and for the peer's answer
constexpr auto time_for_a_refusal = std::chrono::milliseconds{500}; // for the body that says why
constexpr std::size_t most_to_answer_pings = 1u << 20; // bytes that wait: a peer that reads nothing needs no answers
constexpr int normal_closure = 1000, protocol_error = 1002, message_too_big = 1009;

} // namespace

session::session(endpoint to, std::unique_ptr<observer> who)
  : to_{std::move(to)},
    observer_{std::move(who)},
    reader_{to_.max_frame, to_.memory} {}

// -- connecting

void session::begin(clock::time_point now, std::optional<proxy> through) {
  if (through)
    through_ = std::make_unique<const proxy>(std::move(*through));
  connect_by_ = late_at_ = now + to_.connect_timeout;
}

void session::set_addresses(std::vector<std::string> addresses) {
  addresses_.assign(std::make_move_iterator(addresses.begin()), std::make_move_iterator(addresses.end()));
}

bool session::is_connecting() const {
  return phase_ >= phase::connecting && phase_ <= phase::upgrading;
}

bool session::was_opened() const {
  return phase_ >= phase::open && phase_ <= phase::close_sent;
}

session::next session::connect(tls* by) {
  tls_ = by;
  late_at_ = connect_by_;
  if (const auto size = request_size(to_); size > most_request)
    return over({end::unsendable, 0,
                 "the handshake would be " + std::to_string(size) + " bytes, more than the "
                   + std::to_string(most_request) + " that servers take: use fewer topics, keys or shorter names"});
  while (!addresses_.empty()) {
    const auto address = std::move(addresses_.front());
    addresses_.pop_front();
    stream_ = {};
    out_.clear();
    written_ = 0;
    const auto port = through_ ? static_cast<std::uint16_t>(std::stoi(through_->port)) : to_.port;
    if (stream_.connect(address, port) == stream::outcome::wants_room) {
      phase_ = phase::connecting;
      wants_room_ = true;
      return next::wait;
    }
    if (!peer_spoke_)
      last_failure_ = stream_.problem();
  }
  return over({end::unreachable, 0, last_failure_.empty() ? "no connection could be begun" : last_failure_});
}

/// One address failed. The next has its turn, if there is one.
session::next session::attempt_failed(std::string why, bool spoke) {
  if (spoke || !peer_spoke_)
    last_failure_ = made_fit(std::move(why));
  peer_spoke_ = peer_spoke_ || spoke;
  phase_ = phase::waiting;
  return addresses_.empty() ? over({end::unreachable, 0, last_failure_}) : next::reattempt;
}

session::next session::on_connected() {
  if (stream_.finish_connect() != stream::outcome::done)
    return attempt_failed((through_ ? "the proxy " + through_->host + ": " : std::string{}) + stream_.problem(), false);
  wants_room_ = false;
  if (!through_)
    return begin_securing();
  phase_ = phase::tunnelling;
  answer_ = std::make_unique<answer_reader>(false);
  const auto request = connect_request(to_, *through_);
  out_.assign(request.begin(), request.end());
  return write();
}

session::next session::begin_securing() {
  if (tls_ == nullptr)
    return begin_upgrade();
  try {
    stream_.secure(*tls_, to_.host);
  } catch (const bad_tls_settings& e) {
    return over({end::untrusted, 0, e.what()});
  } catch (const std::runtime_error& e) {
    return attempt_failed(e.what());
  }
  phase_ = phase::securing;
  return go_on_securing();
}

session::next session::go_on_securing() {
  wants_room_ = false;
  switch (stream_.handshake()) {
    case stream::outcome::done: return begin_upgrade();
    case stream::outcome::wants_input: return next::wait;
    case stream::outcome::wants_room: wants_room_ = true; return next::wait;
    case stream::outcome::ended: return attempt_failed("it ended the connection within TLS' handshake");
    case stream::outcome::failed: break;
  }
  return stream_.is_about_trust() ? over({end::untrusted, 0, stream_.problem()}) : attempt_failed(stream_.problem());
}

session::next session::begin_upgrade() {
  phase_ = phase::upgrading;
  answer_ = std::make_unique<answer_reader>(true);
  key_ = make_key();
  const auto request = upgrade_request(to_, key_);
  out_.assign(request.begin(), request.end());
  written_ = 0;
  return write();
}

session::next session::take_answer(std::string_view bytes) {
  switch (answer_->feed(bytes)) {
    case answer_reader::outcome::wants_more:
      if (answer_->has_head()) // what it refuses with need not be whole
        late_at_ = std::min(connect_by_, clock::now() + time_for_a_refusal);
      return next::wait;
    case answer_reader::outcome::no_http: return attempt_failed(answer_->problem());
    case answer_reader::outcome::whole: break;
  }
  return take_whole_answer();
}

session::next session::take_whole_answer() {
  if (phase_ == phase::tunnelling) {
    if (answer_->status() / 100 != 2)
      return refused_by_proxy();
    if (!answer_->behind().empty())
      return attempt_failed("the proxy " + through_->host + " says more than it was asked");
    return begin_securing();
  }
  if (answer_->status() != 101)
    return refused();
  if (auto wrong = wrong_with_upgrade(*answer_, key_); !wrong.empty())
    return attempt_failed(std::move(wrong));
  const auto behind = std::string{answer_->behind()};
  answer_.reset();
  give_back(key_);
  if (written_ == out_.size()) { // the request needs no room any more
    give_back(out_);
    written_ = 0;
  }
  return opened(behind);
}

session::next session::refused_by_proxy() {
  return attempt_failed("the proxy " + through_->host + " answers CONNECT with " + std::to_string(answer_->status())
                        + " " + std::string{answer_->reason()});
}

/// Where an answer points that says to go elsewhere is not followed: the token is for whom the user named.
session::next session::refused() {
  const auto status = answer_->status();
  const auto location = status >= 300 && status <= 399 ? answer_->header("location") : std::string{};
  std::string answer{answer_->text()};
  hide_secrets(answer);
  return over({end::refused, status,
               location.empty() ? std::string{} : "it points to " + location + ", which is not followed",
               std::move(answer)});
}

session::next session::opened(std::string_view behind) {
  phase_ = phase::open;
  addresses_.clear(); // there are thousands of connections, and this one needs that no more
  give_back(to_.path);
  give_back(last_failure_);
  heard_at_ = clock::now();
  late_at_ = heard_at_ + to_.ping_interval;
  observer_->on_open();
  if (const auto now = take_frames(behind); now != next::wait)
    return now;
  return write();
}

// -- the socket

session::next session::on_ready(std::span<char> buffer, bool readable, bool has_room, clock::time_point now) {
  if (phase_ == phase::connecting)
    return on_connected();
  if (phase_ == phase::securing)
    return go_on_securing();
  if (wants_room_ ? has_room : written_ < out_.size())
    if (const auto after = write(); after != next::wait)
      return after;
  return readable || stream_.may_have_more() ? read(buffer, now) : next::wait;
}

session::next session::read(std::span<char> buffer, clock::time_point now) {
  for (std::size_t i = 0; i < reads_a_turn; ++i) {
    const auto [outcome, size] = stream_.read(buffer.data(), buffer.size());
    switch (outcome) {
      case stream::outcome::done: break;
      case stream::outcome::wants_input: return is_deaf_ ? on_no_more() : next::wait;
      case stream::outcome::wants_room: wants_room_ = true; return next::wait;
      case stream::outcome::ended: return on_no_more();
      case stream::outcome::failed:
        if (stream_.is_about_trust())
          return over({end::untrusted, 0, stream_.problem()});
        if (is_connecting())
          return attempt_failed(stream_.problem());
        return over({end::lost, 0, "the connection broke: " + stream_.problem()});
    }
    heard_at_ = now;
    is_pinged_ = false;
    const auto after = answer_ ? take_answer({buffer.data(), size}) : take_frames({buffer.data(), size});
    if (after != next::wait)
      return after;
    if (phase_ == phase::securing || (!is_deaf_ && size < buffer.size() && !stream_.may_have_more()))
      return next::wait;
  }
  return next::go_on;
}

/// The peer sends nothing more.
session::next session::on_no_more() {
  if (answer_ && answer_->end() == answer_reader::outcome::whole)
    return take_whole_answer();
  if (is_connecting())
    return attempt_failed(answer_ ? answer_->problem() : "it ended the connection before the handshake was done");
  return over({end::lost, 0, "the connection broke"});
}

session::next session::take_frames(std::string_view bytes) {
  bytes_received_ += bytes.size();
  const auto before = received_.size();
  const auto outcome = reader_.feed(bytes, received_, *this);
  awaited_ -= std::min(awaited_, received_.size() - before);
  if (received_.size() >= frames_a_batch)
    flush(load::busy);
  switch (outcome) {
    case frame_reader::outcome::fine: return written_ < out_.size() && !wants_room_ ? write() : next::wait;
    case frame_reader::outcome::closed: return over({end::closed, 0, {}}); // unless `on_close` knows more
    case frame_reader::outcome::broken:
      close_with(protocol_error, {});
      return over({end::lost, 0, std::string{"it does not speak WebSocket: "} + reader_.problem()});
    case frame_reader::outcome::too_large: break;
  }
  close_with(message_too_big, {});
  return over({end::too_large, 0,
               "a frame of more than " + std::to_string(to_.max_frame)
                 + " bytes came, and nothing in it says which message it is"});
}

void session::on_ping(std::string_view payload) {
  if ((phase_ == phase::open || phase_ == phase::closing) && out_.size() - written_ < most_to_answer_pings)
    append_masked_frame(out_, payload, opcode::pong);
}

void session::on_close(int code, std::string_view reason) {
  if (phase_ == phase::close_sent)
    return;
  end_.emplace(ended{end::peer_closed, code, made_fit(std::string{reason})});
  std::array<char, 2> same{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  append_masked_frame(out_, {same.data(), code == 0 ? 0 : same.size()}, opcode::close);
}

std::optional<std::string> session::on_oversized(std::string_view beginning, std::uint64_t size) {
  return observer_->on_oversized(beginning, size);
}

void session::flush(load load) {
  bytes_received_ = 0;
  if (!has_ended() && !received_.empty())
    observer_->on_frames(std::exchange(received_, {}), load);
}

// -- time

session::next session::on_late(clock::time_point now) {
  if (phase_ == phase::closing || phase_ == phase::close_sent)
    return over({end::lost, 0, "the peer did not answer the close frame in time"});
  if (phase_ != phase::open) {
    if (answer_ && answer_->has_head() && answer_->end() == answer_reader::outcome::whole)
      return take_whole_answer();
    return over({end::unreachable, 0, "no answer within " + std::to_string(to_.connect_timeout.count()) + " ms"});
  }
  if (const auto silent_since = now - heard_at_; silent_since < to_.ping_interval) {
    late_at_ = heard_at_ + to_.ping_interval;
    return next::wait;
  }
  const auto took = stream_.taken();
  const bool is_in_line = written_ < out_.size() || stream_.untaken() > 0;
  if (is_pinged_ && !(ping_is_in_line_ && took > peer_took_))
    return over({end::lost, 0, "a ping went unanswered"});
  peer_took_ = took;
  ping_is_in_line_ = is_in_line;
  late_at_ = now + to_.pong_timeout;
  if (std::exchange(is_pinged_, true))
    return next::wait; // a peer that takes what stands before the ping, however slowly, is there
  append_masked_frame(out_, {}, opcode::ping);
  return write();
}

// -- sending

void session::send(std::vector<frame> frames) {
  if (has_ended() || is_asked_to_close_ || is_deaf_)
    return;
  if (to_.answers_each)
    awaited_ += frames.size();
  if (unsent_.empty()) {
    unsent_ = std::move(frames);
    return;
  }
  if (taken_ > unsent_.size() / 2) {
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }
  unsent_.insert(unsent_.end(), std::make_move_iterator(frames.begin()), std::make_move_iterator(frames.end()));
}

void session::take_unsent() {
  while (taken_ < unsent_.size() && (out_.empty() || out_.size() + unsent_[taken_]->size() <= bytes_a_write))
    append_masked_frame(out_, *std::exchange(unsent_[taken_++], nullptr));
  if (taken_ == unsent_.size())
    drop_unsent();
}

void session::drop_unsent() {
  unsent_.clear();
  taken_ = 0;
  if (unsent_.capacity() > frames_to_keep)
    give_back(unsent_);
}

session::next session::write() {
  if (phase_ < phase::tunnelling || phase_ == phase::securing || phase_ == phase::ended)
    return next::wait;
  for (;;) {
    if (written_ == out_.size()) {
      out_.clear();
      written_ = 0;
      if (phase_ == phase::open || phase_ == phase::closing)
        take_unsent();
      if (out_.empty() && phase_ == phase::closing) {
        close_with(normal_closure, {});
        phase_ = phase::close_sent;
      }
      if (out_.empty()) {
        if (out_.capacity() > out_to_keep)
          give_back(out_);
        wants_room_ = false;
        return next::wait;
      }
    }
    const auto [outcome, size] = stream_.write(out_.data() + written_, out_.size() - written_);
    written_ += size;
    switch (outcome) {
      case stream::outcome::done: break;
      case stream::outcome::wants_input: return next::wait;
      case stream::outcome::wants_room: wants_room_ = true; return next::wait;
      case stream::outcome::ended: return on_no_more();
      case stream::outcome::failed: return write_failed();
    }
  }
}

session::next session::write_failed() {
  if (stream_.is_about_trust())
    return over({end::untrusted, 0, stream_.problem()});
  if (is_connecting())
    return attempt_failed(stream_.problem());
  if (tls_ != nullptr || is_deaf_)
    return over({end::lost, 0, "the connection broke: " + stream_.problem()});
  // What the peer said before it went is still to be read, its close frame perhaps.
  is_deaf_ = true;
  wants_room_ = false;
  out_.clear();
  written_ = 0;
  drop_unsent();
  return next::go_on;
}

// -- ending

/// Puts a close frame behind what goes over the socket.
void session::close_with(int code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  payload += reason;
  append_masked_frame(out_, payload, opcode::close);
}

session::next session::begin_close(clock::time_point now) {
  if (has_ended() || std::exchange(is_asked_to_close_, true))
    return next::wait;
  if (phase_ != phase::open)
    return next::finish;
  phase_ = phase::closing;
  late_at_ = now + time_to_close;
  return write();
}

session::next session::fail(ended why) {
  return over(std::move(why));
}

session::next session::over(ended why) {
  if (!end_) {
    why.text = made_fit(std::move(why.text));
    end_ = std::move(why);
  }
  if (out_.size() > written_ && was_opened()) // a last word, if it fits
    static_cast<void>(stream_.write(out_.data() + written_, out_.size() - written_));
  return next::finish;
}

/// What a peer said is made fit for a log: on one line, and without what only this side may know.
std::string session::made_fit(std::string text) const {
  std::replace_if(
    text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == '\x7f'; }, ' ');
  hide_secrets(text);
  return text;
}

void session::hide_secrets(std::string& text) const {
  for (const auto& [name, value] : to_.headers) {
    const auto secret = std::string_view{value}.substr(value.rfind(' ') + 1); // behind the scheme
    for (auto at = secret.empty() ? std::string::npos : text.find(secret); at != std::string::npos;
         at = text.find(secret, at + secret.size()))
      std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), secret.size(), '*');
  }
}

void session::end_unmade() {
  static_cast<void>(over({end::closed, 0, "the event loop has stopped"}));
  end();
}

void session::end() {
  if (has_ended())
    return;
  flush(load::busy);
  drop_unsent();
  stream_.close();
  phase_ = phase::ended;
  const auto last = std::move(observer_);
  if (is_asked_to_close_)
    last->on_end({end::closed, 0, {}});
  else
    last->on_end(end_ ? std::move(*end_) : ended{end::lost, 0, "the connection broke"});
}

} // namespace stargate::connection
