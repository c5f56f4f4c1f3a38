// Keys that the caller hands over: environment variables and systemd credentials.
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/text.h"
#include "wallet/keystore.h"

namespace paycurl {

Result<PrivateKey> take_key_variable(const char* name) {
  char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    return Error{Kind::account, std::string(name) + " is set but empty",
                 "give it a private key, or unset it", "no_account"};
  }
  auto key = PrivateKey::parse(value);
  wipe(value, std::strlen(value));
  ::unsetenv(name);
  if (!key) return std::move(key).error().within(name);
  return key;
}

Result<Secret> take_secret_variable(const char* name) {
  char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    return Error{Kind::account, std::string(name) + " is set but empty",
                 "give it a wallet's connection, or unset it", "no_account"};
  }
  const std::size_t size = std::strlen(value);
  Secret secret;
  const bool fits = size <= Secret::kCapacity;
  if (fits) secret.assign({reinterpret_cast<const std::uint8_t*>(value), size});
  wipe(value, size);
  ::unsetenv(name);
  if (!fits) return Error{Kind::account, std::string(name) + " is too long"};
  return secret;
}

Result<PrivateKey> load_credential(const std::string& folder, const std::string& name) {
  const int fd = ::open((folder + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error{Kind::account,
                 "reading the credential " + printable(name) + ": " + std::strerror(errno)};
  }
  auto secret = read_secret(fd);
  ::close(fd);
  if (!secret) return secret.error();
  return PrivateKey::parse(secret->text());
}

Result<> check_account_name(std::string_view name) {
  std::string_view digits = name;
  if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
  if (digits.size() == 64 &&
      digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos) {
    return Error{Kind::usage, "that looks like a private key, not like an account's name",
                 "keys never belong on a command line; this one is now in your shell's history"};
  }
  if (name.size() > 64 || name.find(':') != std::string_view::npos) {
    return Error{
        Kind::usage, "that looks like a secret or a URI, not like an account's name",
        "a wallet's connection never belongs on a command line, which others can see: give "
        "it on standard input or with --wallet-fd N"};
  }
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (name.empty() || kAllowed.find(name.front()) >= kAllowed.size() - 3 ||
      name.find_first_not_of(kAllowed) != std::string_view::npos) {
    return Error{Kind::usage, "not an account's name: " + printable(name, 70),
                 "use up to 64 letters, digits, dots, dashes and underscores"};
  }
  return {};
}

}  // namespace paycurl
