/// @file
/// Pulsar's end-to-end encryption, by OpenSSL: payloads with AES-256-GCM, and the key of those with RSA-OAEP.
#pragma once

#include <stargate/encryption.hpp>
#include <stargate/error.hpp>
#include <stargate/message.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace stargate::protocol {

/// Encrypts the payloads of one producer. Its data key is random, and the same for as long as it lives, since a
/// message that is sent again goes out as it was encrypted first. @par Threads any thread
class encryptor {
public:
  /// @throws std::runtime_error when OpenSSL has no random numbers
  explicit encryptor(stargate::encryption recipients);
  ~encryptor();
  encryptor(const encryptor&) = delete;
  encryptor& operator=(const encryptor&) = delete;

  /// The value of the query parameter `encryptionKeys`: the data key, encrypted for each recipient.
  /// @par Errors errc::crypto_failed when a public key is missing or is not an RSA key
  [[nodiscard]] caf::expected<std::string> parameter() const;

  struct sealed {
    std::string payload; ///< The cipher text and its tag.
    std::string param;   ///< The initialization vector.
  };
  /// @throws std::runtime_error when OpenSSL fails
  [[nodiscard]] sealed seal(std::string_view payload) const;

private:
  stargate::encryption recipients_;
  std::string data_key_;
  mutable std::mutex mutex_;
  mutable std::optional<std::string> parameter_; ///< Made once; guarded by mutex_.
};

/// Opens the messages of one consumer. A producer encrypts many messages with one data key, so that those of late are
/// remembered: RSA is asked once for each, and not for each message. @par Threads any thread
class decryptor {
public:
  explicit decryptor(stargate::decryption keys) : keys_{std::move(keys)} {}
  ~decryptor();
  decryptor(const decryptor&) = delete;
  decryptor& operator=(const decryptor&) = delete;

  /// Opens a message with the first key that fits, and takes its encryption context away; leaves it as it is otherwise.
  /// @par Errors errc::crypto_failed when there is no key for it, or none fits, or what is inside cannot be used
  [[nodiscard]] caf::error open(received_message& message) const;

private:
  [[nodiscard]] std::optional<std::string> data_key(const decryption_key& key, const std::string& wrapped) const;
  void forget() const;

  const stargate::decryption keys_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<std::string, std::string>, std::string> data_keys_; ///< By key's name, and wrapped.
};

} // namespace stargate::protocol
