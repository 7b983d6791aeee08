#include <stargate/encryption.hpp>
#include <stargate/error.hpp>
#include <stargate/options.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace stargate {

namespace {

// The exceptions name the file, never what is in it.
std::string read_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in)
    throw std::runtime_error{"the file '" + path + "' cannot be read"};
  return text;
}

std::string trimmed(std::string text) {
  constexpr auto blanks = " \t\r\n";
  text.erase(0, text.find_first_not_of(blanks));
  text.erase(text.find_last_not_of(blanks) + 1);
  return text;
}

} // namespace

token_source token_source::text(std::string token) {
  return call([token = std::move(token)] { return token; });
}

token_source token_source::from(const std::string& source) {
  constexpr std::string_view token = "token:";
  constexpr std::string_view file_url = "file:";
  if (source.starts_with(token))
    return text(source.substr(token.size()));
  if (!source.starts_with(file_url))
    return text(source);
  auto path = source.substr(file_url.size());
  if (path.starts_with("///")) // a URL with an empty host
    path.erase(0, 2);
  return file(std::move(path));
}

token_source token_source::file(std::string path) {
  return call([path = std::move(path)] { return read_file(path); });
}

token_source token_source::call(std::function<std::string()> make) {
  token_source result;
  result.make_ = std::move(make);
  return result;
}

caf::expected<std::string> token_source::operator()() const {
  std::string token;
  try {
    token = trimmed(make_());
  } catch (const std::exception& e) {
    return make_error(errc::no_token, e.what());
  } catch (...) {
    return make_error(errc::no_token, "the function that gives the token threw what is not a std::exception");
  }
  if (token.empty())
    return make_error(errc::no_token, "the token is empty");
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; }))
    return make_error(errc::no_token, "the token has characters that cannot stand in a header");
  return token;
}

key_source key_source::file(std::string path) {
  return call([path = std::move(path)] { return read_file(path); });
}

} // namespace stargate
