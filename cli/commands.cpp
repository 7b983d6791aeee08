#include "cli/commands.hpp"

#include "cli/message_json.hpp"

#include "libstargate/protocol/frames.hpp"
#include "libstargate/protocol/instant.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

extern char** environ;

namespace stargate::cli {

namespace {

using clock = std::chrono::steady_clock;

constexpr int metadata_descriptor = 3;
constexpr std::size_t most_of_a_variable = 96u << 10; // Linux takes 128 KiB for each
constexpr std::chrono::milliseconds look_interval{5}; // where the end of a process wakes nobody

/// Closes a file descriptor.
class descriptor {
public:
  explicit descriptor(int fd) : fd_{fd} {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

private:
  int fd_;
};

[[noreturn]] void fail_to(const char* what) {
  throw std::runtime_error{std::string{"cannot "} + what + ": " + std::strerror(errno)};
}

/// A file in memory: neither side can wait for the other, and nothing that stays behind holds it open for us. Its
/// descriptor is above those that a command finds open.
descriptor in_memory(std::string_view text) {
  const descriptor low{memfd_create("stargate", MFD_CLOEXEC)};
  if (low.get() < 0)
    fail_to("make a place for the message");
  for (std::size_t written = 0; written < text.size();) {
    const auto n = ::write(low.get(), text.data() + written, text.size() - written);
    if (n <= 0)
      fail_to("hand over the message");
    written += static_cast<std::size_t>(n);
  }
  ::lseek(low.get(), 0, SEEK_SET);
  const int high = ::fcntl(low.get(), F_DUPFD_CLOEXEC, metadata_descriptor + 1);
  if (high < 0)
    fail_to("hand over the message");
  return descriptor{high};
}

std::string content_of(const descriptor& file) {
  std::string text;
  std::array<char, 64u << 10> buffer{};
  for (;;) {
    const auto n = ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      fail_to("read what the command printed");
    if (n == 0)
      return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

/// The environment of a command. What is too large for it, or cannot stand there, is in the JSON only.
std::vector<std::string> variables_for(const received_message& m) {
  std::vector<std::string> variables;
  const auto add = [&](const char* name, const std::string& value) {
    if (value.size() <= most_of_a_variable && value.find('\0') == std::string::npos)
      variables.push_back(std::string{name} + "=" + value);
  };
  add("STARGATE_TOPIC", to_string(m.topic()));
  add("STARGATE_MESSAGE_ID", m.id.value);
  add("STARGATE_KEY", m.key.value_or(""));
  add("STARGATE_PROPERTIES", json_of(m.properties));
  add("STARGATE_PUBLISH_TIME", protocol::format_instant(m.publish_time));
  add("STARGATE_REDELIVERY_COUNT", std::to_string(m.redelivery_count));
  add("STARGATE_METADATA", "/dev/fd/" + std::to_string(metadata_descriptor));
  return variables;
}

/// Starts `sh -c command` as the leader of a group, clean of what this process has done to its signals and files.
pid_t start(const std::string& command, const received_message& m, int in, int metadata, std::optional<int> out) {
  auto variables = variables_for(m);
  std::vector<char*> environment;
  for (auto** e = environ; *e != nullptr; ++e)
    if (!std::string_view{*e}.starts_with("STARGATE_")) // neither the token nor an outer message's
      environment.push_back(*e);
  for (auto& v : variables)
    environment.push_back(v.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  if (out)
    posix_spawn_file_actions_adddup2(&actions, *out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, metadata, metadata_descriptor);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  posix_spawn_file_actions_addclosefrom_np(&actions, metadata_descriptor + 1);
#endif
  // A group of its own, so that Control-C at the terminal lets the message in hand be finished.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
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
  return pid;
}

/// Whether the process ended before `until`; it is not waited for yet.
bool ends_before(pid_t pid, clock::time_point until) {
#ifdef SYS_pidfd_open
  const descriptor process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
#else
  const descriptor process{-1};
#endif
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
      return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    if (left.count() <= 0)
      return false;
    if (process.get() >= 0) {
      pollfd wait{process.get(), POLLIN, 0};
      constexpr std::int64_t longest = 3'600'000;
      ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left.count(), longest)));
    } else {
      std::this_thread::sleep_for(look_interval);
    }
  }
}

} // namespace

std::string commands::run(const std::string& command, const received_message& m, std::chrono::milliseconds limit,
                          bool capture) {
  const auto in = in_memory(m.payload);
  const auto metadata = in_memory(json_without_payload(m) + "\n");
  const auto out = in_memory({});
  const auto until = limit.count() > 0 ? clock::now() + limit : clock::time_point::max();
  pid_t pid = 0;
  {
    const std::lock_guard guard{mutex_};
    if (closed_)
      throw std::runtime_error{"it is not run any more: everything is being stopped"};
    pid = start(command, m, in.get(), metadata.get(), capture ? std::optional{out.get()} : std::nullopt);
    running_.insert(pid);
  }
  const bool in_time = ends_before(pid, until);
  if (!in_time)
    ::kill(-pid, SIGKILL);
  int status = 0;
  static_cast<void>(ends_before(pid, clock::time_point::max()));
  {
    const std::lock_guard guard{mutex_}; // who kills a group must not meet another that has taken over its number
    running_.erase(pid);
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (!in_time)
    throw std::runtime_error{"'" + command + "' took longer than handler_timeout, " + std::to_string(limit.count())
                             + " ms, and was killed with all that it had started"};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return capture ? content_of(out) : std::string{};
  throw std::runtime_error{"'" + command + "' "
                           + (WIFEXITED(status) ? "ended with status " + std::to_string(WEXITSTATUS(status))
                                                : "was ended by signal " + std::to_string(WTERMSIG(status)))};
}

void commands::kill_all() {
  const std::lock_guard guard{mutex_};
  closed_ = true;
  for (const auto group : running_)
    ::kill(-group, SIGKILL);
}

} // namespace stargate::cli
