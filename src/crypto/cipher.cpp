#include "src/crypto/cipher.h"

#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace paycurl {
namespace {

constexpr std::size_t kDerivedSize = 32;
constexpr std::uint64_t kMemoryLimit = 1ULL << 30;
constexpr std::uint64_t kMaxRounds = 10'000'000;

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

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace paycurl
