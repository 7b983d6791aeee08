/// @file
/// End-to-end encryption: the broker stores what it cannot read.
/// @par Source Pulsar's client-side encryption: a random AES-256 key for each producer, itself encrypted with RSA for
/// each reader of the messages.
#pragma once

#include <stargate/export.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace STARGATE_API stargate {

/// A key in PEM format: from a file, or from a function. It has no text form and appears in no log.
/// @par Threads the function may be called from any thread, and by several at once
class key_source {
public:
  key_source() = default;
  /// Of a file, which is read at each use.
  [[nodiscard]] static key_source file(std::string path);
  /// Of a function, which is called at each use.
  [[nodiscard]] static key_source call(std::function<std::string()> make) { return key_source{std::move(make)}; }

  /// Whether there is one.
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(make_); }
  /// The PEM text. @throws std::exception when there is none
  [[nodiscard]] std::string operator()() const { return make_(); }

private:
  explicit key_source(std::function<std::string()> make) : make_{std::move(make)} {}
  std::function<std::string()> make_;
};

/// A public key, and the name under which a receiver finds the private one.
struct encryption_key {
  std::string name;      ///< As receivers know it.
  key_source public_key; ///< RSA, in PEM.
};

/// What a producer encrypts for: every key's owner can read the messages. Empty: nothing is encrypted.
using encryption = std::vector<encryption_key>;

/// A private key, under the name that the producer gave it.
struct decryption_key {
  std::string name;       ///< As the producer gave it.
  key_source private_key; ///< RSA, in PEM.
};

/// What a consumer or reader can open.
using decryption = std::vector<decryption_key>;

} // namespace stargate
