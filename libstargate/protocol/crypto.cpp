#include "libstargate/protocol/crypto.hpp"

#include "libstargate/protocol/base64.hpp"
#include "libstargate/protocol/json.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <stdexcept>
#include <string_view>

namespace stargate::protocol {

namespace {

constexpr std::size_t key_size = 32;
constexpr std::size_t vector_size = 12;
constexpr std::size_t tag_size = 16;
constexpr std::size_t most_data_keys = 100; // that a decryptor remembers: one for each producer's life

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* what) const noexcept {
    Free(what);
  }
};
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using key_context = std::unique_ptr<EVP_PKEY_CTX, freed_by<EVP_PKEY_CTX_free>>;
using cipher_context = std::unique_ptr<EVP_CIPHER_CTX, freed_by<EVP_CIPHER_CTX_free>>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string random_bytes(std::size_t size) {
  std::string result(size, '\0');
  if (RAND_bytes(bytes(result), static_cast<int>(size)) != 1)
    throw std::runtime_error{"OpenSSL has no random numbers"};
  return result;
}

int no_passphrase(char*, int, int, void*) {
  return -1; // instead of asking on the terminal
}

key_ptr read_key(std::string pem, bool is_private) {
  const bio_ptr bio{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  key_ptr key{is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                         : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr)};
  OPENSSL_cleanse(pem.data(), pem.size());
  if (!key)
    throw std::runtime_error{"it is not a key in PEM format, or it has a passphrase"};
  if (EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA)
    throw std::runtime_error{"it is not an RSA key"};
  return key;
}

/// Encrypts or decrypts a data key with RSA-OAEP (SHA-1, as Pulsar's clients do).
std::optional<std::string> wrap(EVP_PKEY* key, bool encrypt, const std::string& in) {
  const key_context context{EVP_PKEY_CTX_new(key, nullptr)};
  auto* c = context.get();
  const auto run = encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt;
  std::size_t size = 0;
  if (c == nullptr || (encrypt ? EVP_PKEY_encrypt_init(c) : EVP_PKEY_decrypt_init(c)) != 1
      || EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) != 1
      || run(c, nullptr, &size, bytes(in), in.size()) != 1)
    return std::nullopt;
  std::string out(size, '\0');
  if (run(c, bytes(out), &size, bytes(in), in.size()) != 1)
    return std::nullopt;
  out.resize(size);
  return out;
}

std::optional<std::string> open_payload(const std::string& key, const std::string& vector, const std::string& sealed) {
  if (key.size() != key_size || vector.empty() || sealed.size() < tag_size)
    return std::nullopt;
  const auto size = static_cast<int>(sealed.size() - tag_size);
  std::string plain(sealed.size() - tag_size, '\0');
  auto tag = sealed.substr(sealed.size() - tag_size);
  const cipher_context context{EVP_CIPHER_CTX_new()};
  auto* c = context.get();
  int written = 0;
  int rest = 0;
  if (EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), nullptr, nullptr, nullptr) != 1
      || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IVLEN, static_cast<int>(vector.size()), nullptr) != 1
      || EVP_DecryptInit_ex(c, nullptr, nullptr, bytes(key), bytes(vector)) != 1
      || EVP_DecryptUpdate(c, bytes(plain), &written, bytes(sealed), size) != 1
      || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag_size), tag.data()) != 1
      || EVP_DecryptFinal_ex(c, bytes(plain) + written, &rest) != 1)
    return std::nullopt;
  return plain;
}

caf::error failed(std::string why) {
  return make_error(errc::crypto_failed, std::move(why));
}

} // namespace

encryptor::encryptor(stargate::encryption recipients)
  : recipients_{std::move(recipients)},
    data_key_{random_bytes(key_size)} {}

encryptor::~encryptor() {
  OPENSSL_cleanse(data_key_.data(), data_key_.size());
}

caf::expected<std::string> encryptor::parameter() const {
  const std::lock_guard guard{mutex_};
  if (parameter_)
    return *parameter_;
  std::string object;
  for (const auto& recipient : recipients_) {
    const auto what = "the public key '" + recipient.name + "' cannot be used: ";
    std::optional<std::string> wrapped;
    try {
      wrapped = wrap(read_key(recipient.public_key(), false).get(), true, data_key_);
    } catch (const std::exception& e) {
      return failed(what + e.what());
    }
    if (!wrapped)
      return failed(what + "OpenSSL refuses it");
    object += object.empty() ? "{" : ",";
    if (!json::append_string(object, recipient.name))
      return failed(what + "its name is not UTF-8");
    object += R"(:{"keyValue":")";
    append_base64(object, *wrapped);
    object += R"(","metadata":{}})";
  }
  std::string encoded;
  append_base64(encoded, object + "}");
  parameter_ = encoded;
  return encoded;
}

encryptor::sealed encryptor::seal(std::string_view payload) const {
  sealed result{std::string(payload.size() + tag_size, '\0'), random_bytes(vector_size)};
  const cipher_context context{EVP_CIPHER_CTX_new()};
  auto* c = context.get();
  int written = 0;
  int rest = 0;
  if (EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), nullptr, bytes(data_key_), bytes(result.param)) != 1
      || EVP_EncryptUpdate(c, bytes(result.payload), &written, bytes(payload), static_cast<int>(payload.size())) != 1
      || EVP_EncryptFinal_ex(c, bytes(result.payload) + written, &rest) != 1
      || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag_size),
                             result.payload.data() + payload.size())
           != 1)
    throw std::runtime_error{"OpenSSL could not encrypt a message"};
  return result;
}

decryptor::~decryptor() {
  forget();
}

void decryptor::forget() const {
  for (auto& [wrapped, key] : data_keys_)
    OPENSSL_cleanse(key.data(), key.size());
  data_keys_.clear();
}

std::optional<std::string> decryptor::data_key(const decryption_key& key, const std::string& wrapped) const {
  const std::pair name{key.name, wrapped};
  {
    const std::lock_guard guard{mutex_};
    if (const auto found = data_keys_.find(name); found != data_keys_.end())
      return found->second;
  }
  auto opened = wrap(read_key(key.private_key(), true).get(), false, wrapped);
  if (opened) {
    const std::lock_guard guard{mutex_};
    if (data_keys_.size() >= most_data_keys)
      forget();
    data_keys_.emplace(name, *opened);
  }
  return opened;
}

caf::error decryptor::open(received_message& message) const {
  const auto& context = *message.encryption;
  std::string names;
  std::string tried;
  for (const auto& [name, wrapped] : context.keys) {
    names += (names.empty() ? "" : ", ") + name;
    for (const auto& key : keys_) {
      if (key.name != name)
        continue;
      try {
        auto opened = data_key(key, wrapped.value);
        auto plain = opened ? open_payload(*opened, context.param, message.payload) : std::nullopt;
        if (opened)
          OPENSSL_cleanse(opened->data(), opened->size());
        if (!plain) {
          tried = "the private key '" + name + "' does not fit";
          continue;
        }
        if ((!context.compression.empty() && context.compression != "NONE") || context.batch_size.value_or(1) > 1)
          return failed("it was compressed or batched before it was encrypted, which cannot be undone here; let its "
                        "producer do neither");
        message.payload = std::move(*plain);
        message.encryption = nullptr;
        return {};
      } catch (const std::exception& e) {
        tried = "the private key '" + name + "' cannot be used: " + e.what();
      }
    }
  }
  return failed(tried.empty() ? "it is encrypted for " + names + ", and there is no private key of that name" : tried);
}

} // namespace stargate::protocol
