#include "src/crypto/cipher.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace paycurl {
namespace {

constexpr std::size_t kDerivedSize = 32;
constexpr std::uint64_t kMemoryLimit = 1ULL << 30;
constexpr std::uint64_t kMaxRounds = 10'000'000;

/// All of `in` through a cipher; empty when its padding is wrong. Keys and lengths are ours.
std::optional<Bytes> run(const EVP_CIPHER* kind, bool encrypts, ByteView key, ByteView iv,
                         ByteView in) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  Bytes out(in.size() + EVP_MAX_BLOCK_LENGTH);
  int written = 0;
  int last = 0;
  if (in.size() > INT_MAX - EVP_MAX_BLOCK_LENGTH ||
      EVP_CIPHER_get_key_length(kind) != static_cast<int>(key.size()) ||
      EVP_CIPHER_get_iv_length(kind) != static_cast<int>(iv.size()) ||
      EVP_CipherInit_ex(cipher.get(), kind, nullptr, key.data(), iv.data(), encrypts ? 1 : 0) !=
          1 ||
      EVP_CipherUpdate(cipher.get(), out.data(), &written, in.data(),
                       static_cast<int>(in.size())) != 1) {
    std::abort();
  }
  if (EVP_CipherFinal_ex(cipher.get(), out.data() + written, &last) != 1) return std::nullopt;
  out.resize(static_cast<std::size_t>(written) + static_cast<std::size_t>(last));
  return out;
}

}  // namespace

Result<Secret> derive_scrypt(const Secret& password, ByteView salt, const Scrypt& cost) {
  const auto [n, r, p] = cost;
  const bool small = n <= (1ULL << 24) && r >= 1 && r <= 1024 && p >= 1 && p <= 1024;
  const std::uint64_t memory = small ? 128 * r * (n + p + 2) + (1 << 20) : 0;
  if (!small || memory > kMemoryLimit) {
    return Error{Kind::account, "this key file asks for more than 1 GiB of memory"};
  }
  Secret key;
  if (EVP_PBE_scrypt(password.text().data(), password.text().size(), salt.data(), salt.size(), n, r,
                     p, memory, key.buffer().data(), kDerivedSize) != 1) {
    return Error{Kind::account, "this key file has scrypt parameters that the definition forbids"};
  }
  key.resize(kDerivedSize);
  return key;
}

Result<Secret> derive_pbkdf2(const Secret& password, ByteView salt, std::uint64_t rounds) {
  Secret key;
  if (rounds == 0 || rounds > kMaxRounds ||
      PKCS5_PBKDF2_HMAC(password.text().data(), static_cast<int>(password.text().size()),
                        salt.data(), static_cast<int>(salt.size()), static_cast<int>(rounds),
                        EVP_sha256(), kDerivedSize, key.buffer().data()) != 1) {
    return Error{Kind::account, "this key file asks for an unreasonable number of rounds"};
  }
  key.resize(kDerivedSize);
  return key;
}

Result<> aes128_ctr(ByteView key, ByteView iv, ByteView in, std::span<std::uint8_t> out) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int written = 0;
  if (key.size() != 16 || iv.size() != 16 || in.size() != out.size() || in.size() > 4096 ||
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_ctr(), nullptr, key.data(), iv.data()) != 1 ||
      EVP_EncryptUpdate(cipher.get(), out.data(), &written, in.data(),
                        static_cast<int>(in.size())) != 1) {
    return Error{Kind::account, "this key file has a cipher text of the wrong shape"};
  }
  return {};
}

Bytes chacha20(ByteView key, const ByteArray<12>& nonce, ByteView in) {
  ByteArray<16> iv{};  // OpenSSL's: the number of the block, then the nonce
  std::copy(nonce.begin(), nonce.end(), iv.begin() + 4);
  return *run(EVP_chacha20(), true, key, iv, in);
}

Bytes encrypt_aes256_cbc(ByteView key, ByteView iv, ByteView in) {
  return *run(EVP_aes_256_cbc(), true, key, iv, in);
}

Result<Bytes> decrypt_aes256_cbc(ByteView key, ByteView iv, ByteView in) {
  auto out = run(EVP_aes_256_cbc(), false, key, iv, in);
  if (!out) return Error{Kind::protocol, "a cipher text that the key does not fit"};
  return std::move(*out);
}

Digest hmac_sha256(ByteView key, ByteView message) {
  Digest digest{};
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
           digest.data(), nullptr) == nullptr) {
    std::abort();
  }
  return digest;
}

Secret hkdf_extract(ByteView salt, ByteView secret) {
  Digest key = hmac_sha256(salt, secret);
  Secret kept;
  kept.assign(key);
  wipe(key.data(), key.size());
  return kept;
}

Secret hkdf_expand(ByteView key, ByteView info, std::size_t size) {
  Secret out;
  Digest block{};
  Bytes message;
  for (std::size_t done = 0, count = 1; done < size; ++count) {
    message.assign(block.begin(), count == 1 ? block.begin() : block.end());
    message.insert(message.end(), info.begin(), info.end());
    message.push_back(static_cast<std::uint8_t>(count));
    block = hmac_sha256(key, message);
    wipe(message.data(), message.size());
    const std::size_t taken = std::min(block.size(), size - done);
    std::copy_n(block.begin(), taken, out.buffer().begin() + static_cast<std::ptrdiff_t>(done));
    done += taken;
  }
  wipe(block.data(), block.size());
  out.resize(size);
  return out;
}

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace paycurl
