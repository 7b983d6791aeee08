#include "cli/common.hpp"
#include "cli/description.hpp"

#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/json.hpp"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <spawn.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

extern char** environ;

namespace stargate::cli {

namespace {

/// Closes a file descriptor.
class descriptor {
public:
  explicit descriptor(int fd) : fd_{fd} {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  void close() {
    if (fd_ >= 0)
      ::close(std::exchange(fd_, -1));
  }

private:
  int fd_;
};

[[noreturn]] void fail_to(const char* what) {
  throw std::runtime_error{std::string{"cannot "} + what + ": " + std::strerror(errno)};
}

std::string json_of(const properties& p) {
  std::string out = "{";
  for (const auto& [name, value] : p) {
    out += out.size() > 1 ? "," : "";
    static_cast<void>(protocol::json::append_string(out, name));
    out += ':';
    static_cast<void>(protocol::json::append_string(out, value));
  }
  return out + "}";
}

/// Runs a shell command with the message on its standard input. What it prints goes to our standard output, or is
/// given back. @throws std::runtime_error when it cannot be run, or ends with another status than 0
std::string run_command(const std::string& command, const received_message& m, bool capture) {
  // The payload is in memory, so neither side can wait for the other.
  const descriptor in{memfd_create("stargate-message", MFD_CLOEXEC)};
  if (in.get() < 0)
    fail_to("make a place for the message");
  for (std::size_t written = 0; written < m.payload.size();) {
    const auto n = ::write(in.get(), m.payload.data() + written, m.payload.size() - written);
    if (n <= 0)
      fail_to("hand over the message");
    written += static_cast<std::size_t>(n);
  }
  lseek(in.get(), 0, SEEK_SET);
  int ends[2] = {-1, -1};
  if (capture && pipe2(ends, O_CLOEXEC) != 0)
    fail_to("make a pipe");
  const descriptor out{ends[0]};
  descriptor their_out{ends[1]};

  std::vector<std::string> variables{"STARGATE_TOPIC=" + to_string(m.topic()),
                                     "STARGATE_MESSAGE_ID=" + m.id.value,
                                     "STARGATE_KEY=" + m.key.value_or(""),
                                     "STARGATE_PROPERTIES=" + json_of(m.properties),
                                     "STARGATE_PUBLISH_TIME=" + protocol::format_instant(m.publish_time),
                                     "STARGATE_REDELIVERY_COUNT=" + std::to_string(m.redelivery_count)};
  std::vector<char*> environment;
  for (auto** e = environ; *e != nullptr; ++e)
    if (std::string_view{*e}.find("STARGATE_") != 0) // neither the token nor an outer message's
      environment.push_back(*e);
  for (auto& v : variables)
    environment.push_back(v.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, in.get(), STDIN_FILENO);
  if (capture)
    posix_spawn_file_actions_adddup2(&actions, their_out.get(), STDOUT_FILENO);
  // A group of its own, so that Control-C at the terminal lets the message in hand be finished.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::string shell = "sh";
  std::string flag = "-c";
  std::string text = command;
  std::array<char*, 4> arguments{shell.data(), flag.data(), text.data(), nullptr};
  pid_t pid = 0;
  const int wrong = posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (wrong != 0)
    throw std::runtime_error{std::string{"cannot run /bin/sh: "} + std::strerror(wrong)};
  their_out.close();
  std::string output;
  char buffer[4096];
  for (ssize_t n = 1; capture && n > 0;) {
    n = ::read(out.get(), buffer, sizeof buffer);
    if (n > 0)
      output.append(buffer, static_cast<std::size_t>(n));
    else if (n < 0 && errno == EINTR)
      n = 1;
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return output;
  throw std::runtime_error{"'" + command + "' "
                           + (WIFEXITED(status) ? "ended with status " + std::to_string(WEXITSTATUS(status))
                                                : "was ended by signal " + std::to_string(WTERMSIG(status)))};
}

/// Where handlers find the tree that they are part of: the first messages may come before it stands.
class late_tree {
public:
  void set(tree t) {
    {
      const std::lock_guard guard{mutex_};
      it_ = std::move(t);
    }
    changed_.notify_all();
  }
  /// From now on there is none.
  void close() {
    std::optional<tree> last;
    {
      const std::lock_guard guard{mutex_};
      closed_ = true;
      last.swap(it_);
    }
    changed_.notify_all();
  }
  std::optional<tree> get() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return it_ || closed_; });
    return it_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<tree> it_;
  bool closed_ = false;
};

handler_factory shell_handler(std::string command, std::optional<topic_name> produce_to,
                              std::shared_ptr<late_tree> where) {
  return [command = std::move(command), produce_to = std::move(produce_to),
          where = std::move(where)](const received_message& m) {
    auto output = run_command(command, m, produce_to.has_value());
    if (!produce_to)
      return disposition::ack;
    const auto t = where->get();
    if (!t)
      throw std::runtime_error{"the tree is stopping"};
    auto id = t->produce(registry_key{"producer", *produce_to, "cli"},
                         message{.payload = std::move(output), .key = m.key, .properties = m.properties});
    if (!id)
      throw std::runtime_error{describe(id.error())};
    return disposition::ack;
  };
}

int run_tree(const global_options& g, const std::string& file, bool check_only) {
  const auto late = std::make_shared<late_tree>();
  global_options mine = g;
  options description = g.tree;
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in)
    return fail(make_error(errc::invalid_option, "the description '" + file + "' cannot be read"));
  const auto wrong = read_description(text, file, description, [&](std::string command, std::optional<topic_name> to) {
    return shell_handler(std::move(command), std::move(to), late);
  });
  if (wrong)
    return fail(wrong);
  if (check_only) {
    std::cerr << "stargate: " << file << " is right: " << description.producers.size() << " producers, "
              << description.consumers.size() << " consumers, " << description.readers.size() << " readers"
              << std::endl;
    return done;
  }
  mine.tree = description;
  runtime r;
  auto started = start_connected(r, mine, description);
  if (!started) {
    late->close();
    return fail(started.error());
  }
  late->set(*started);
  std::cerr << "stargate: running " << file << "; end it with Control-C" << std::endl;
  int status = done;
  while (!is_interrupted() && status == done) {
    std::this_thread::sleep_for(std::chrono::milliseconds{100}); // a signal wakes nobody
    if (has_ended(started->supervisor()))
      status = fail(std::string{"the tree has given up"});
  }
  std::cerr << "stargate: stopping" << std::endl;
  const auto unclean = started->stop();
  late->close();
  return unclean ? fail(unclean) : status;
}

} // namespace

void add_run(CLI::App& app, const global_options& g, std::function<int()>& run) {
  auto file = std::make_shared<std::string>();
  auto check_only = std::make_shared<bool>(false);
  auto* sub = app.add_subcommand("run", "Run a supervised tree whose handlers are shell commands");
  sub
    ->add_option("--config", *file, "The tree, in JSON: the options' names, and a command for each consumer and reader")
    ->required()
    ->type_name("FILE");
  sub->add_flag("--check", *check_only, "Only say whether the description is right");
  sub->footer("A command gets each message on its standard input and the rest in STARGATE_TOPIC, STARGATE_MESSAGE_ID,\n"
              "STARGATE_KEY, STARGATE_PROPERTIES (JSON), STARGATE_PUBLISH_TIME and STARGATE_REDELIVERY_COUNT.\n"
              "Exit status 0 acknowledges the message. With \"produce_to\", what it prints is produced to that topic.");
  sub->callback(
    [file, check_only, &g, &run] { run = [file, check_only, &g] { return run_tree(g, *file, *check_only); }; });
}

} // namespace stargate::cli
