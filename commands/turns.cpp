#include "commands/turns.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/crypto/hash.h"

namespace paycurl {
namespace {

/// One password, in memory that the processes of the invocation have in common.
struct Answer {
  Digest question;
  std::size_t size;
  std::array<std::uint8_t, Secret::kCapacity> password;
};

int g_turns = -1;
Answer* g_answer = nullptr;
std::array<int, 2> g_depth{};

/// A record lock belongs to a process and ends with it, however it ends.
void set_lock(Turn::At what, short type) {
  struct flock byte {};
  byte.l_type = type;
  byte.l_whence = SEEK_SET;
  byte.l_start = static_cast<off_t>(what);
  byte.l_len = 1;
  while (::fcntl(g_turns, F_SETLKW, &byte) != 0 && errno == EINTR) {
  }
}

}  // namespace

Result<> share_turns() {
  if (g_turns >= 0) return {};
  g_turns = ::memfd_create("paycurl-turns", MFD_CLOEXEC);
  void* page =
      ::mmap(nullptr, sizeof(Answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (g_turns < 0 || page == MAP_FAILED) {
    return Error{Kind::internal, std::string("sharing memory: ") + std::strerror(errno)};
  }
  (void)::mlock(page, sizeof(Answer));  // best effort, as for every secret
  (void)::madvise(page, sizeof(Answer), MADV_DONTDUMP);
  g_answer = std::construct_at(static_cast<Answer*>(page));
  return {};
}

Turn::Turn(At what) : what_(what) {
  if (g_turns >= 0 && g_depth.at(static_cast<std::size_t>(what))++ == 0) set_lock(what, F_WRLCK);
}

Turn::~Turn() {
  if (g_turns >= 0 && --g_depth.at(static_cast<std::size_t>(what_)) == 0) set_lock(what_, F_UNLCK);
}

std::optional<Secret> shared_password(std::string_view question) {
  const bool is_there = g_answer != nullptr && g_answer->size != 0;
  if (!is_there || g_answer->question != sha256(as_bytes(question))) return std::nullopt;
  Secret password;
  password.assign(std::span(g_answer->password).first(g_answer->size));
  return password;
}

void share_password(std::string_view question, const Secret& password) {
  if (g_answer == nullptr || password.bytes().size() > g_answer->password.size()) return;
  g_answer->question = sha256(as_bytes(question));
  g_answer->size = password.bytes().size();
  std::memcpy(g_answer->password.data(), password.bytes().data(), g_answer->size);
}

}  // namespace paycurl
