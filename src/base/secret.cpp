#include "src/base/secret.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace paycurl {

void wipe(void* bytes, std::size_t size) {
  ::explicit_bzero(bytes, size);
}

Secret::Secret() {
  void* page =
      ::mmap(nullptr, kCapacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) std::abort();
  // Best effort, each: a low RLIMIT_MEMLOCK must not stop a payment.
  (void)::mlock(page, kCapacity);
  (void)::madvise(page, kCapacity, MADV_DONTDUMP);
  (void)::madvise(page, kCapacity, MADV_WIPEONFORK);
  page_ = static_cast<std::uint8_t*>(page);
}

Secret::~Secret() {
  if (page_ == nullptr) return;
  wipe(page_, kCapacity);
  (void)::munmap(page_, kCapacity);
}

Secret::Secret(Secret&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  std::swap(page_, other.page_);
  std::swap(size_, other.size_);
  return *this;
}

void Secret::resize(std::size_t size) {
  if (size > kCapacity) std::abort();
  wipe(page_ + size, kCapacity - size);
  size_ = size;
}

void Secret::assign(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kCapacity) std::abort();
  std::memcpy(page_, bytes.data(), bytes.size());
  resize(bytes.size());
}

Result<Secret> read_secret(int fd) {
  Secret secret;
  std::size_t size = 0;
  while (true) {
    const auto space = secret.buffer().subspan(size);
    if (space.empty()) return Error{Kind::account, "the secret is longer than 4095 bytes"};
    const ssize_t got = ::read(fd, space.data(), space.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{Kind::account, "reading the secret: " + std::string(std::strerror(errno))};
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  secret.resize(size);
  if (secret.empty()) return Error{Kind::account, "the secret is empty"};
  return secret;
}

}  // namespace paycurl
