// The broker in a box, against clients that say anything: a line each, a letter and what it is about.
//   o TARGET        a handshake
//   0 TEXT … 9 TEXT a frame on that connection; f TEXT on the last
//   c N             a client leaves
//   r METHOD TARGET BODY
//   w MILLISECONDS  time passes
//   t TOKEN
#include "box/broker.hpp"

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

using namespace stargate::box;

namespace {

/// Acknowledges or refuses what it gets, now and then, so that what is delivered goes on.
struct far_end final : peer {
  void send(std::string frame) override { last = std::move(frame); }
  void close(int, const std::string&) override { ended = true; }
  std::string last;
  bool ended = false;
};

std::string id_in(const std::string& frame) {
  const auto at = frame.find("\"messageId\":\"");
  return at == std::string::npos ? std::string{} : frame.substr(at + 13, frame.find('"', at + 13) - at - 13);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream text{std::string{reinterpret_cast<const char*>(data), size}};
  broker box{1'767'225'600'000};
  struct client {
    std::shared_ptr<far_end> end;
    std::shared_ptr<connection> behind;
  };
  std::vector<client> clients;
  micros now = 0;
  int steps = 0;
  for (std::string line; std::getline(text, line) && ++steps < 64;) {
    if (line.size() < 2)
      continue;
    const auto rest = line.substr(2);
    if (line[0] == 'o') {
      client c{std::make_shared<far_end>(), nullptr};
      answer refused;
      c.behind = box.open(rest, c.end, refused);
      if (!c.behind && refused.status < 400)
        std::abort();
      clients.push_back(std::move(c));
    } else if (line[0] == 'f' || (line[0] >= '0' && line[0] <= '9')) {
      const auto which = line[0] == 'f' ? clients.size() - 1 : static_cast<std::size_t>(line[0] - '0');
      if (which < clients.size() && clients[which].behind && !clients[which].end->ended) {
        auto frame = rest;
        if (const auto at = frame.find("ID"); at != std::string::npos)
          frame.replace(at, 2, id_in(clients[which].end->last));
        clients[which].behind->on_frame(frame);
      }
    } else if (line[0] == 'c') {
      const auto which = static_cast<std::size_t>(std::atoi(rest.c_str()));
      if (which < clients.size())
        clients[which].behind.reset();
    } else if (line[0] == 'r') {
      std::istringstream words{rest};
      std::string method, target, body;
      words >> method >> target;
      std::getline(words, body);
      static_cast<void>(box.request(method, target, body.empty() ? body : body.substr(1)));
    } else if (line[0] == 't') {
      if (caller_of(rest, {"0123456789abcdef0123456789abcdef", {}}, 0) && rest.size() < 40)
        std::abort(); // a signature alone has 43 characters
    } else if (line[0] == 'w') {
      now += std::min<long>(std::labs(std::atol(rest.c_str())), 100'000) * millisecond;
    }
    box.advance(now);
    for (auto& c : clients)
      if (c.end->ended)
        c.behind.reset();
  }
  return 0;
}
