#include "box/configuration.hpp"

#include "libstargate/protocol/base64.hpp"

#include <charconv>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace stargate::box {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  return begin == std::string_view::npos ? std::string_view{}
                                         : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool read_bool(const std::string& text) {
  if (text != "true" && text != "false")
    throw std::runtime_error{"is true or false"};
  return text == "true";
}

std::uint16_t read_port(const std::string& text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc{} || end != text.data() + text.size())
    throw std::runtime_error{"is a number up to 65535"};
  return port;
}

std::set<std::string> read_list(const std::string& text) {
  std::set<std::string> all;
  std::istringstream in{text};
  for (std::string one; std::getline(in, one, ',');)
    if (const auto name = trimmed(one); !name.empty())
      all.emplace(name);
  return all;
}

} // namespace

std::string read_secret_key(const std::string& where) {
  constexpr std::string_view file = "file://", data = "data:;base64,";
  std::string bytes;
  if (where.starts_with(data)) {
    if (!protocol::decode_base64(std::string_view{where}.substr(data.size()), bytes))
      throw std::runtime_error{"the token's secret key is no base64"};
  } else {
    const auto path = where.starts_with(file) ? where.substr(file.size()) : where;
    std::ifstream in{path, std::ios::binary};
    bytes.assign(std::istreambuf_iterator<char>{in}, {});
    if (!in.is_open() || in.bad())
      throw std::runtime_error{"cannot read the token's secret key from " + path};
  }
  if (bytes.size() < 32)
    throw std::runtime_error{"the token's secret key has " + std::to_string(bytes.size())
                             + " bytes, and needs 32 or more: openssl rand -out secret.key 32"};
  return bytes;
}

configuration read_configuration(const std::string& path) {
  std::ifstream in{path};
  if (!in)
    throw std::runtime_error{"cannot read " + path};
  configuration c;
  auto& s = c.settings;
  bool authenticates = false, authorizes = false;
  access_rules access;
  const std::map<std::string_view, std::function<void(const std::string&)>> known = {
    {"webServicePort", [&](const auto& text) { s.port = read_port(text); }},
    {"webServicePortTls",
     [&](const auto& text) { s.tls_port = text.empty() ? std::nullopt : std::optional{read_port(text)}; }},
    {"bindAddress", [&](const auto& text) { s.address = text; }},
    {"tlsCertificateFilePath", [&](const auto& text) { s.certificate_file = text; }},
    {"tlsKeyFilePath", [&](const auto& text) { s.key_file = text; }},
    {"authenticationEnabled", [&](const auto& text) { authenticates = read_bool(text); }},
    {"authorizationEnabled", [&](const auto& text) { authorizes = read_bool(text); }},
    {"authenticationProviders",
     [](const auto& text) {
       if (!text.empty() && text != "org.apache.pulsar.broker.authentication.AuthenticationProviderToken")
         throw std::runtime_error{
           "can only be org.apache.pulsar.broker.authentication.AuthenticationProviderToken here"};
     }},
    {"tokenSecretKey",
     [&](const auto& text) { access.token_secret_key = text.empty() ? std::string{} : read_secret_key(text); }},
    {"superUserRoles", [&](const auto& text) { access.super_user_roles = read_list(text); }},
    {"allowAutoTopicCreation", [&](const auto& text) { s.model.creates_topics = read_bool(text); }},
    {"brokerDeduplicationEnabled", [&](const auto& text) { s.model.deduplicates = read_bool(text); }},
  };
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const auto text = trimmed(line);
    if (text.empty() || text.front() == '#')
      continue;
    const auto fail = [&](const std::string& why) {
      throw std::runtime_error{path + ", line " + std::to_string(number) + ": " + why};
    };
    const auto equals = text.find('=');
    if (equals == std::string_view::npos)
      fail("this is no name=value");
    const auto name = std::string{trimmed(text.substr(0, equals))};
    const auto found = known.find(name);
    if (found == known.end()) {
      c.unknown.push_back(name);
      continue;
    }
    try {
      found->second(std::string{trimmed(text.substr(equals + 1))});
    } catch (const std::runtime_error& why) {
      fail(name + " " + why.what());
    }
  }
  if (authenticates != authorizes)
    throw std::runtime_error{path + ": authenticationEnabled and authorizationEnabled go together here"};
  if (authenticates && access.token_secret_key.empty())
    throw std::runtime_error{path + ": authenticationEnabled needs a tokenSecretKey"};
  if (authenticates)
    s.model.access = std::move(access);
  return c;
}

} // namespace stargate::box
