#include "testing/network.hpp"

#include "web/status.hpp"

#include <algorithm>
#include <utility>

namespace stargate::testing {

namespace {

constexpr std::size_t largest_frame = 1'048'576; // a broker's webSocketMaxTextFrameSize

class wire_link final : public connection::link {
public:
  explicit wire_link(std::shared_ptr<wire> to) : to_{std::move(to)} {}
  ~wire_link() override { wire_link::close(); }
  void send(std::vector<connection::frame> frames) override { to_->send_up(std::move(frames)); }
  void close() override { to_->close_up(); }

private:
  const std::shared_ptr<wire> to_;
};

/// As it would stand on the wire: the reason is read out of it.
std::string as_http(const box::answer& a) {
  return "HTTP/1.1 " + std::to_string(a.status) + " " + std::string{web::phrase_of(a.status)}
         + "\r\nContent-Length: " + std::to_string(a.body.size()) + "\r\n\r\n" + a.body;
}

} // namespace

wire::wire(std::weak_ptr<world::implementation> in, connection::endpoint to, std::unique_ptr<connection::observer> who)
  : in_{std::move(in)},
    to_{std::move(to)},
    who_{std::move(who)} {}

void wire::later(box::micros& last, std::function<void()> what) {
  if (const auto in = in_.lock()) {
    last = std::max(last, in->now + in->delay);
    in->at(last, [self = shared_from_this(), what = std::move(what)] { what(); });
  }
}

void wire::end(connection::ended why) {
  behind_.reset();
  if (const auto who = std::exchange(who_, nullptr))
    who->on_end(std::move(why));
}

void wire::arrive() {
  const auto in = in_.lock();
  if (!in || !who_ || deaf_)
    return;
  if (in->is_down)
    return end({connection::end::unreachable, 0, "nobody listens: the broker is down"});
  box::answer refused;
  if (in->refuses)
    refused = box::error_page(*in->refuses, "refused by the test", to_.path);
  else
    behind_ = in->broker.open(to_.path, shared_from_this(), refused);
  if (!behind_)
    return end({connection::end::refused, refused.status, {}, as_http(refused)});
  later(last_down_, [this] {
    if (who_ && !deaf_) {
      open_ = true;
      who_->on_open();
    }
  });
}

void wire::send_up(std::vector<connection::frame> frames) {
  if (!who_ || !open_ || closing_)
    return;
  later(last_up_, [this, frames = std::move(frames)] {
    for (const auto& frame : frames) {
      if (!behind_ || deaf_)
        return;
      if (frame->size() > largest_frame)
        return close(1009, "Text message size exceeds maximum size [" + std::to_string(largest_frame) + "]");
      behind_->on_frame(frame->str());
    }
  });
}

void wire::close_up() {
  if (!who_ || std::exchange(closing_, true))
    return;
  if (deaf_)
    return; // its end is under way
  later(last_up_, [this] {
    behind_.reset();
    later(last_down_, [this] { end({connection::end::closed, 0, {}}); });
  });
}

void wire::send(std::string frame) {
  later(last_down_, [this, frame = std::move(frame)] {
    if (who_ && open_ && !deaf_)
      who_->on_frames({frame}, connection::load::busy);
  });
}

void wire::close(int code, const std::string& reason) {
  later(last_down_, [this, code, reason] {
    if (!deaf_)
      end(code == 0 ? connection::ended{connection::end::lost, 0, "the broker broke it off"}
                    : connection::ended{connection::end::peer_closed, code, reason});
  });
}

void wire::break_off(connection::ended why) {
  deaf_ = true;
  if (const auto in = in_.lock())
    in->at(in->now, [self = shared_from_this(), why = std::move(why)] { self->end(why); });
}

void wire::become_half_open() {
  deaf_ = true;
  const auto in = in_.lock();
  if (!in)
    return;
  const auto patience = open_ ? std::chrono::milliseconds{to_.ping_interval + to_.pong_timeout} : to_.connect_timeout;
  in->at(in->now + patience.count() * box::millisecond, [self = shared_from_this()] {
    self->end({self->open_ ? connection::end::lost : connection::end::unreachable, 0, "a ping went unanswered"});
  });
}

std::unique_ptr<connection::link> world::implementation::connect(connection::endpoint to,
                                                                 std::unique_ptr<connection::observer> who) {
  auto made = std::make_shared<wire>(weak_from_this(), std::move(to), std::move(who));
  std::erase_if(wires, [](const auto& w) { return w.expired(); });
  wires.push_back(made);
  at(now + delay, [made] { made->arrive(); });
  return std::make_unique<wire_link>(std::move(made));
}

std::vector<std::shared_ptr<wire>> world::implementation::open_wires() {
  std::vector<std::shared_ptr<wire>> all;
  for (const auto& weak : wires)
    if (auto w = weak.lock(); w && !w->is_over())
      all.push_back(std::move(w));
  return all;
}

} // namespace stargate::testing
