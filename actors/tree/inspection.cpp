#include "actors/tree/inspection.hpp"

#include "actors/shared/outcome.hpp"
#include "actors/tree/wiring.hpp"
#include "libstargate/protocol/json.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace stargate {

using namespace compat;

namespace {

/// Whoever was asked how it is doing, by its place in the listing, and what it answered.
using asked = std::vector<std::pair<std::size_t, caf::actor>>;
using heard = std::vector<std::pair<std::size_t, vitals>>;

/// Asks everybody at once, and sets what those answered who did in time; the others are busy.
void vitals_collector(caf::event_based_actor* self, const asked& whom, std::chrono::milliseconds patience,
                      const std::shared_ptr<internal::outcome<heard>>& result) {
  const auto open = std::make_shared<std::size_t>(whom.size());
  const auto answers = std::make_shared<heard>();
  const auto one_less = [=] {
    if (--*open == 0)
      result->set(std::move(*answers));
  };
  for (const auto& [place, who] : whom)
    request(self, who, patience, report_vitals{})
      .then(
        [=, at = place](const vitals& v) {
          answers->emplace_back(at, v);
          one_less();
        },
        [=](const caf::error&) { one_less(); });
}

/// Walks down the supervisors of a tree, and asks everybody how it is doing.
class inspector {
public:
  inspector(const internal::tree_context& tree, std::chrono::milliseconds timeout)
    : tree_{tree},
      registry_{tree.registry()},
      sockets_{tree.board.all()},
      patience_{timeout / 4},
      deadline_{tree.now() + timeout} {}

  /// @param asks whether who is found there may be asked how it is doing
  void visit(const caf::actor& supervisor, std::size_t depth, tree_snapshot& out, bool asks = true) {
    const auto now = tree_.now();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - now);
    if (!supervisor || left <= std::chrono::milliseconds::zero())
      return;
    children found;
    if (auto answer = internal::ask_and_wait<children>(tree_.system, *tree_.world, supervisor, left, which_children{}))
      found = std::move(*answer);
    out.restarts += found.restarts;
    for (const auto& child : found.list) {
      tree_entry entry;
      entry.depth = depth;
      entry.key = child.id;
      entry.type = child.type;
      entry.state = child.state;
      entry.connection = is_drained(child.id) ? "drained" : connection_of(child.id);
      entry.restarts = child.restarts;
      entry.last_exit = child.last_exit ? describe(child.last_exit) : "";
      entry.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(now - child.since);
      const bool ours = asks && answers_vitals(child.id);
      if (ours || child.type == child_type::supervisor)
        ask(child.who, out.entries.size());
      out.entries.push_back(entry);
      for (const auto& [key, record] : sockets_)
        if (record.parent == child.id) {
          auto socket = entry;
          socket.depth = depth + 1;
          socket.key = key;
          socket.connection = to_string(record);
          socket.last_exit.clear();
          ask(registry_.whereis(key), out.entries.size());
          out.entries.push_back(std::move(socket));
        }
      if (child.type == child_type::supervisor)
        visit(child.who, depth + 1, out, ours);
    }
  }

  /// Takes down what those who were asked answer.
  void hear(tree_snapshot& out) {
    if (asked_.empty())
      return;
    const auto result = std::make_shared<internal::outcome<heard>>();
    const auto until = tree_.now() + 2 * patience_;
    tree_.system.spawn(vitals_collector, std::exchange(asked_, {}), patience_, result);
    for (const auto& [place, how] : result->wait(*tree_.world, until).value_or(heard{}))
      out.entries[place].how = how;
  }

private:
  void ask(const caf::actor& whom, std::size_t place) {
    if (whom)
      asked_.emplace_back(place, whom);
  }

  [[nodiscard]] bool is_drained(const child_id& place) const {
    const auto what = tree_.roster.find(place);
    return what && what->is_drained;
  }

  /// A child of the application's own need not, also while it ends.
  [[nodiscard]] bool answers_vitals(const child_id& place) const {
    const auto what = tree_.roster.find(place);
    return !what || what->answers_vitals;
  }

  [[nodiscard]] std::string connection_of(const std::string& key) const {
    const auto i = sockets_.find(key);
    return i == sockets_.end() ? "" : to_string(i->second);
  }

  const internal::tree_context& tree_;
  registry registry_;
  std::map<std::string, internal::socket_board::record> sockets_;
  std::chrono::milliseconds patience_;
  asked asked_;
  internal::environment::clock::time_point deadline_;
};

} // namespace

tree_snapshot internal::look_at(const tree_context& tree, const caf::actor& top, std::chrono::milliseconds timeout) {
  tree_snapshot result;
  tree_entry entry;
  entry.key = top_name(tree.description);
  entry.type = child_type::supervisor;
  entry.state = has_ended(top) ? child_state::stopped : child_state::running;
  result.entries.push_back(std::move(entry));
  inspector look{tree, timeout};
  look.visit(top, 1, result);
  look.hear(result);
  return result;
}

namespace {

/// A key without its encoding, as people read it: `processor/billing/0  persistent://public/default/orders`.
std::string readable(const std::string& key) {
  const auto parsed = parse_registry_key(key);
  return parsed ? parsed->component + "  " + to_string(parsed->topic) : key;
}

} // namespace

std::string to_string(const tree_snapshot& snapshot) {
  std::size_t width = 0;
  for (const auto& e : snapshot.entries)
    width = std::max(width, 2 * e.depth + readable(e.key).size());
  std::string text;
  for (const auto& e : snapshot.entries) {
    auto line = std::string(2 * e.depth, ' ') + readable(e.key);
    line.resize(width + 2, ' ');
    line += name_of(e.state);
    if (!e.connection.empty())
      line += ", " + e.connection;
    if (e.depth > 0)
      line += ", " + std::to_string(e.restarts) + (e.restarts == 1 ? " restart" : " restarts");
    if (e.how)
      for (const auto& [count, what] : {std::pair{e.how->mailbox, " in its mailbox"},
                                        {e.how->in_flight, " in flight"},
                                        {e.how->demand, " in demand"}})
        if (count > 0)
          line += ", " + std::to_string(count) + what;
    if (!e.last_exit.empty())
      line += ", last exit: " + e.last_exit;
    text += line + "\n";
  }
  return text;
}

std::string to_json(const tree_snapshot& snapshot) {
  std::string out = R"({"restarts":)" + std::to_string(snapshot.restarts) + R"(,"entries":[)";
  const auto text = [&out](const char* name, std::string_view value) {
    out.append(",\"").append(name).append("\":");
    if (!protocol::json::append_string(out, value))
      out += "\"\"";
  };
  for (bool first = true; const auto& e : snapshot.entries) {
    out += (std::exchange(first, false) ? R"({"depth":)" : R"(,{"depth":)") + std::to_string(e.depth);
    text("key", e.key);
    if (const auto key = parse_registry_key(e.key)) {
      text("component", key->component);
      text("topic", to_string(key->topic));
    }
    text("type", e.type == child_type::supervisor ? "supervisor" : "worker");
    text("state", name_of(e.state));
    text("connection", e.connection);
    text("lastExit", e.last_exit);
    out += R"(,"restarts":)" + std::to_string(e.restarts) + R"(,"uptimeMs":)" + std::to_string(e.uptime.count());
    if (e.how)
      out += R"(,"mailbox":)" + std::to_string(e.how->mailbox) + R"(,"inFlight":)" + std::to_string(e.how->in_flight)
             + R"(,"demand":)" + std::to_string(e.how->demand);
    out += "}";
  }
  return out + "]}";
}

// -- the socket -----------------------------------------------------------------

namespace internal {

namespace {

constexpr std::chrono::seconds look_timeout{2};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw std::runtime_error{"inspection_socket '" + path + "' cannot be opened: " + why};
}

/// Removes a socket that a process left behind; one that is listened to stays.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0)
    return;
  if (!S_ISSOCK(found.st_mode))
    fail(path, "there is a file that is not a socket");
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool alive = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  if (alive)
    fail(path, "another process listens there");
  ::unlink(path.c_str());
}

} // namespace

inspection_server::inspection_server(std::shared_ptr<const tree_context> tree, caf::actor top)
  : tree_{std::move(tree)},
    top_{std::move(top)},
    path_{tree_->description.inspection_socket} {
  const auto address = address_of(path_);
  remove_stale(path_, address);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // Linux gives the file of a socket the mode that the socket has when it is bound: nobody else ever may connect.
  if (listener_ < 0 || ::fchmod(listener_, S_IRUSR | S_IWUSR) != 0
      || ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
      || ::listen(listener_, 8) != 0) {
    const std::string why = std::strerror(errno);
    if (listener_ >= 0)
      ::close(listener_);
    fail(path_, why);
  }
  thread_ = std::thread{[this] { serve(); }};
}

inspection_server::~inspection_server() {
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
  ::unlink(path_.c_str());
}

void inspection_server::serve() const {
  for (;;) {
    const int who = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (who < 0) {
      if (errno == EINTR || errno == ECONNABORTED)
        continue;
      return; // it is being closed
    }
    const timeval limit{look_timeout.count(), 0}; // whoever does not read keeps nobody waiting
    ::setsockopt(who, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const auto text = to_json(look_at(*tree_, top_, look_timeout)) + "\n";
    for (std::size_t sent = 0; sent < text.size();) {
      const auto n = ::send(who, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0)
        break;
      sent += static_cast<std::size_t>(n);
    }
    ::close(who);
  }
}

} // namespace internal

} // namespace stargate
