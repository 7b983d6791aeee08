#include "libstargate/connection/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

namespace stargate::connection {

namespace {

std::vector<std::string> addresses_of(const std::string& host, int flags, std::string& failure) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(host.c_str(), nullptr, &hints, &list); code != 0) {
    failure = gai_strerror(code);
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{list, &freeaddrinfo};
  std::vector<std::string> result;
  for (const auto* entry = list; entry != nullptr; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0
        && std::find(result.begin(), result.end(), text.data()) == result.end())
      result.emplace_back(text.data());
  }
  return result;
}

} // namespace

resolver::~resolver() {
  {
    const std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable())
    thread_.join();
}

void resolver::resolve(std::string host, answer then) {
  std::string failure;
  if (auto numeric = addresses_of(host, AI_NUMERICHOST, failure); !numeric.empty()) {
    then(std::move(numeric), {});
    return;
  }
  const std::lock_guard guard{mutex_};
  queue_.emplace_back(std::move(host), std::move(then));
  if (!thread_.joinable())
    thread_ = std::thread{[this] { run(); }};
  wake_.notify_one();
}

void resolver::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_)
      return;
    auto [host, then] = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    std::string failure;
    auto addresses = addresses_of(host, AI_ADDRCONFIG, failure);
    then(std::move(addresses), std::move(failure));
    lock.lock();
  }
}

} // namespace stargate::connection
