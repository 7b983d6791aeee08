#include "cli/common.hpp"

#include "libstargate/protocol/json.hpp"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace stargate::cli {

namespace {

/// What the program behind the socket says.
caf::expected<std::string> ask(const std::string& path) {
  const auto failure = [&](const std::string& why) {
    return make_error(errc::connection_failed,
                      "no tree answers at '" + path + "': " + why
                        + "; start the program with the option inspection_socket (the command: --inspection-socket)");
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return failure("the path is longer than 107 bytes");
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string why = std::strerror(errno);
    ::close(fd);
    return failure(why);
  }
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  if (!text.ends_with('\n'))
    return failure("the answer broke off");
  return text;
}

/// The listing for people, from the JSON.
std::string listing(const std::string& json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.c_str(), json.size());
  if (document.HasParseError() || !document.IsObject() || !document.HasMember("entries")
      || !document["entries"].IsArray())
    return "the answer is not a listing\n";
  tree_snapshot snapshot;
  const auto text = [](const rapidjson::Value& object, const char* name) {
    const auto* found = protocol::json::find_string(object, name);
    return found != nullptr ? std::string{protocol::json::view(*found)} : std::string{};
  };
  const auto number = [](const rapidjson::Value& object, const char* name) -> std::uint64_t {
    const auto found = object.FindMember(name);
    return found != object.MemberEnd() && found->value.IsUint64() ? found->value.GetUint64() : 0;
  };
  for (const auto& value : document["entries"].GetArray()) {
    tree_entry e;
    e.depth = number(value, "depth");
    e.key = text(value, "key");
    e.type = text(value, "type") == "supervisor" ? child_type::supervisor : child_type::worker;
    for (const auto state : {child_state::starting, child_state::running, child_state::stopping,
                             child_state::restarting, child_state::stopped})
      if (text(value, "state") == name_of(state))
        e.state = state;
    e.connection = text(value, "connection");
    e.last_exit = text(value, "lastExit");
    e.restarts = number(value, "restarts");
    e.uptime = std::chrono::milliseconds{number(value, "uptimeMs")};
    if (value.HasMember("mailbox"))
      e.how = vitals{number(value, "mailbox"), number(value, "inFlight"), number(value, "demand")};
    snapshot.entries.push_back(std::move(e));
  }
  return to_string(snapshot);
}

struct tree_flags {
  std::string socket;
  bool json = false;
  std::chrono::milliseconds watch{0};
};

int show(const tree_flags& o) {
  for (;;) {
    const auto answer = ask(o.socket);
    if (!answer)
      return fail(answer.error());
    std::cout << (o.json ? *answer : listing(*answer)) << std::flush;
    if (o.watch.count() == 0)
      return done;
    const auto until = std::chrono::steady_clock::now() + o.watch;
    while (!is_interrupted() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds{50}); // a signal wakes nobody
    if (is_interrupted())
      return done;
  }
}

} // namespace

void add_tree(CLI::App& app, std::function<int()>& run) {
  auto o = std::make_shared<tree_flags>();
  auto* sub = app.add_subcommand("tree", "Show the tree of a running program that opened its inspection socket");
  sub->add_option("SOCKET", o->socket, "The program's inspection_socket")->required();
  sub
    ->add_option_function<std::string>(
      "--format", [o](const std::string& text) { o->json = text == "json"; }, "text: a line an actor; json: one object")
    ->check(CLI::IsMember{{"text", "json"}})
    ->default_str("text");
  add_duration(*sub, "--watch", o->watch, "Show it again each time this has passed; 0 shows it once",
               std::chrono::milliseconds{0});
  sub->callback([o, &run] { run = [o] { return show(*o); }; });
}

} // namespace stargate::cli
