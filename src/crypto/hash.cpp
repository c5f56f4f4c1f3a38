#include "src/crypto/hash.h"

#include <bit>
#include <cstdlib>
#include <cstring>

// The plain functions: OpenSSL 3 wants its provider machinery instead, whose start costs more than
// a whole small request.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace paycurl {
namespace {

constexpr std::array<std::uint64_t, 24> kRoundConstants{
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};
// Rho's rotations and pi's lanes, in the order in which one walk over the 24 moving lanes meets
// them.
constexpr std::array<int, 24> kRotations{1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                         27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
constexpr std::array<std::size_t, 24> kLanes{10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                             15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

using State = std::array<std::uint64_t, 25>;

/// Keccak-f[1600], FIPS 202 section 3.3.
void permute(State& lanes) {
  for (const std::uint64_t constant : kRoundConstants) {
    std::array<std::uint64_t, 5> parity{};
    for (std::size_t x = 0; x < 5; ++x) {
      parity[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
    }
    for (std::size_t x = 0; x < 5; ++x) {
      const std::uint64_t mix = parity[(x + 4) % 5] ^ std::rotl(parity[(x + 1) % 5], 1);
      for (std::size_t y = 0; y < 25; y += 5) {
        lanes[x + y] ^= mix;
      }
    }
    std::uint64_t carried = lanes[1];
    for (std::size_t i = 0; i < 24; ++i) {
      const std::uint64_t replaced = lanes[kLanes[i]];
      lanes[kLanes[i]] = std::rotl(carried, kRotations[i]);
      carried = replaced;
    }
    for (std::size_t y = 0; y < 25; y += 5) {
      std::array<std::uint64_t, 5> row{};
      std::memcpy(row.data(), &lanes[y], sizeof row);
      for (std::size_t x = 0; x < 5; ++x) {
        lanes[y + x] ^= ~row[(x + 1) % 5] & row[(x + 2) % 5];
      }
    }
    lanes[0] ^= constant;
  }
}

}  // namespace

Digest keccak256(ByteView bytes) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::size_t kRate = 136;
  State lanes{};
  ByteArray<kRate> block{};
  const auto absorb = [&](const std::uint8_t* from) {
    for (std::size_t i = 0; i < kRate / 8; ++i) {
      std::uint64_t lane = 0;
      std::memcpy(&lane, from + 8 * i, 8);
      lanes[i] ^= lane;
    }
    permute(lanes);
  };
  for (; bytes.size() >= kRate; bytes = bytes.subspan(kRate)) {
    absorb(bytes.data());
  }
  std::copy(bytes.begin(), bytes.end(), block.begin());
  block[bytes.size()] ^= 0x01;
  block[kRate - 1] ^= 0x80;
  absorb(block.data());
  Digest digest{};
  std::memcpy(digest.data(), lanes.data(), digest.size());
  return digest;
}

struct Sha256::State {
  SHA256_CTX hash{};
};

// These fail only where a FIPS build forbids them.
Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (SHA256_Init(&state_->hash) != 1) std::abort();
}

Sha256::~Sha256() = default;

void Sha256::update(ByteView bytes) {
  SHA256_Update(&state_->hash, bytes.data(), bytes.size());
}

Digest Sha256::finish() {
  Digest digest{};
  SHA256_Final(digest.data(), &state_->hash);
  return digest;
}

Digest sha256(ByteView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

ByteArray<20> sha1(ByteView bytes) {
  ByteArray<20> digest{};
  SHA1(bytes.data(), bytes.size(), digest.data());
  return digest;
}

}  // namespace paycurl
