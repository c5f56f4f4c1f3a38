#include "wallet/key_file.h"

#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "src/base/json.h"
#include "src/base/text.h"
#include "src/crypto/random.h"
#include "wallet/keystore.h"
#include "wallet/sqlite.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxKeyFile = 64 * 1024;
constexpr Scrypt kCost{131072, 8, 1};

Error bad_file(const std::string& why) {
  return {Kind::account, "not a key file: " + why,
          "paycurl reads Web3 Secret Storage version 3, as `cast wallet import` writes it"};
}

Error system_error(const std::string& what) {
  return {Kind::account, what + ": " + std::strerror(errno)};
}

Result<Bytes> hex_at(const Json& json, std::string_view key, std::size_t least, std::size_t most) {
  const auto text = json.string_at(key);
  if (!text) return bad_file(text.error().message);
  auto bytes = from_hex(*text);
  if (!bytes || bytes->size() < least || bytes->size() > most) {
    return bad_file("\"" + std::string(key) + "\" has the wrong form");
  }
  return bytes;
}

Result<std::uint64_t> number_at(const Json& json, std::string_view key) {
  const auto number = json.optional_integer_at(key);
  if (!number || !*number || **number <= 0) {
    return bad_file("\"" + std::string(key) + "\" is not a positive number");
  }
  return static_cast<std::uint64_t>(**number);
}

Result<> read_kdf(const Json& crypto, KeyFile& file) {
  const auto kdf = crypto.string_at("kdf");
  const Json* params = crypto.find("kdfparams");
  if (!kdf || params == nullptr) return bad_file("no key derivation");
  const auto length = number_at(*params, "dklen");
  if (!length || *length != 32) return bad_file("\"dklen\" is not 32");
  auto salt = hex_at(*params, "salt", 1, 256);
  if (!salt) return salt.error();
  file.salt = std::move(*salt);
  if (*kdf == "scrypt") {
    const auto n = number_at(*params, "n");
    const auto r = number_at(*params, "r");
    const auto p = number_at(*params, "p");
    if (!n || !r || !p) return bad_file("scrypt without n, r and p");
    file.scrypt = Scrypt{*n, *r, *p};
    return {};
  }
  const auto prf = params->string_at("prf");
  const auto rounds = number_at(*params, "c");
  if (*kdf != "pbkdf2" || !prf || *prf != "hmac-sha256" || !rounds) {
    return bad_file("an unknown key derivation");
  }
  file.rounds = *rounds;
  return {};
}

std::string uuid() {
  auto bytes = random_array<16>();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text = to_hex(bytes);
  for (const std::size_t at : {20U, 16U, 12U, 8U}) {
    text.insert(at, "-");
  }
  return text;
}

Digest mac_of(const Secret& derived, ByteView ciphertext) {
  Secret input;  // at most 16 + 1024 bytes
  const auto key = derived.bytes().subspan(16, 16);
  std::memcpy(input.buffer().data(), key.data(), key.size());
  std::memcpy(input.buffer().data() + key.size(), ciphertext.data(), ciphertext.size());
  input.resize(key.size() + ciphertext.size());
  return keccak256(input.bytes());
}

}  // namespace

Result<KeyFile> parse_key_file(std::string_view text) {
  const auto json = Json::parse(text, kMaxKeyFile);
  if (!json) return bad_file(json.error().message);
  const auto version = json->optional_integer_at("version");
  if (!version || *version != 3) return bad_file("its version is not 3");
  const Json* crypto = json->find("crypto");
  if (crypto == nullptr) crypto = json->find("Crypto");
  if (crypto == nullptr) return bad_file("\"crypto\" is missing");
  KeyFile file;
  const auto cipher = crypto->string_at("cipher");
  if (!cipher || *cipher != "aes-128-ctr") return bad_file("its cipher is not aes-128-ctr");
  const Json* cipher_params = crypto->find("cipherparams");
  if (cipher_params == nullptr) return bad_file("\"cipherparams\" is missing");
  auto iv = hex_at(*cipher_params, "iv", 16, 16);
  if (!iv) return iv.error();
  auto ciphertext = hex_at(*crypto, "ciphertext", 32, 32);
  if (!ciphertext) return ciphertext.error();
  auto mac = hex_at(*crypto, "mac", 32, 32);
  if (!mac) return mac.error();
  if (auto read = read_kdf(*crypto, file); !read) return read.error();
  file.iv = std::move(*iv);
  file.ciphertext = std::move(*ciphertext);
  file.mac = std::move(*mac);
  const auto address = json->optional_string_at("address");
  if (!address) return bad_file(address.error().message);
  if (*address && !(*address)->empty()) {
    const auto read = Address::parse((*address)->starts_with("0x") ? **address : "0x" + **address);
    if (!read) return bad_file("its address is none");
    file.address = *read;
  }
  return file;
}

Result<PrivateKey> open_key_file(const KeyFile& file, const Secret& password) {
  const auto derived = file.scrypt ? derive_scrypt(password, file.salt, *file.scrypt)
                                   : derive_pbkdf2(password, file.salt, file.rounds);
  if (!derived) return derived.error();
  if (!equal_constant_time(mac_of(*derived, file.ciphertext), file.mac)) {
    return Error{Kind::account, "the password of the key file is wrong", "", "password"};
  }
  Secret plain;
  const auto out = plain.buffer().first(file.ciphertext.size());
  if (auto done = aes128_ctr(derived->bytes().first(16), file.iv, file.ciphertext, out); !done) {
    return done.error();
  }
  plain.resize(file.ciphertext.size());
  auto key = PrivateKey::from_bytes(plain.bytes());
  if (key && file.address && key->address() != *file.address) {
    return bad_file("the key in it is not that of its address");
  }
  return key;
}

Result<std::string> seal_key_file(const PrivateKey& key, const Secret& password) {
  const auto salt = random_array<32>();
  const auto iv = random_array<16>();
  const auto derived = derive_scrypt(password, salt, kCost);
  if (!derived) return derived.error();
  ByteArray<32> ciphertext{};
  const auto sealed = aes128_ctr(derived->bytes().first(16), iv, key.secret().bytes(), ciphertext);
  if (!sealed) return sealed.error();
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  const Json params = Json::object({{"dklen", 32},
                                    {"n", number(kCost.n)},
                                    {"p", number(kCost.p)},
                                    {"r", number(kCost.r)},
                                    {"salt", to_hex(salt)}});
  const Json crypto = Json::object({{"cipher", "aes-128-ctr"},
                                    {"cipherparams", Json::object({{"iv", to_hex(iv)}})},
                                    {"ciphertext", to_hex(ciphertext)},
                                    {"kdf", "scrypt"},
                                    {"kdfparams", params},
                                    {"mac", to_hex(mac_of(*derived, ciphertext))}});
  return Json::object({{"address", key.address().lower_hex().substr(2)},
                       {"crypto", crypto},
                       {"id", uuid()},
                       {"version", 3}})
             .dump() +
         "\n";
}

Result<KeyFile> read_key_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("reading " + printable(path));
  std::string text(kMaxKeyFile + 1, '\0');
  std::size_t size = 0;
  ssize_t got = 0;
  while (size < text.size() && (got = ::read(fd, text.data() + size, text.size() - size)) > 0) {
    size += static_cast<std::size_t>(got);
  }
  const int failed = got < 0 ? errno : 0;
  ::close(fd);
  errno = failed;
  if (failed != 0) return system_error("reading " + printable(path));
  auto file = parse_key_file(std::string_view(text).substr(0, size));
  if (!file) return std::move(file).error().within(printable(path));
  return file;
}

Result<> write_new_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + "." + to_hex(random_array<8>()) + ".tmp";
  const int fd =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("creating " + printable(path));
  bool written = true;
  while (written && !text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    written = put > 0;
    if (written) text.remove_prefix(static_cast<std::size_t>(put));
  }
  written = written && ::fsync(fd) == 0;
  ::close(fd);
  // link() fails when the name is taken; rename() would replace it.
  const bool named = written && ::link(temporary.c_str(), path.c_str()) == 0;
  const int failed = errno;
  ::unlink(temporary.c_str());
  if (!named && written && failed == EEXIST) {
    return Error{Kind::account, printable(path) + " exists already", "", "exists"};
  }
  errno = failed;
  if (!named) return system_error("writing " + printable(path));
  const std::size_t slash = path.rfind('/');
  const int folder = ::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(),
                            O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  if (!synced) return system_error("writing " + printable(path));
  return {};
}

namespace {

class KeyFolder : public Keystore {
 public:
  KeyFolder(std::string folder, PasswordSource password)
      : folder_(std::move(folder)), password_(std::move(password)) {}

  Result<KeyListing> list() override {
    KeyListing listing;
    DIR* folder = ::opendir(folder_.c_str());
    if (folder == nullptr) return listing;
    while (const dirent* entry = ::readdir(folder)) {
      std::string_view name = entry->d_name;
      if (!name.ends_with(".json")) continue;
      name.remove_suffix(5);
      if (check_account_name(name)) listing.keys.push_back({std::string(name), true});
    }
    ::closedir(folder);
    return listing;
  }

  Result<PrivateKey> load(const std::string& name) override {
    const auto file = read_key_file(path(name));
    if (!file) return file.error();
    const auto password = password_("Password of account " + name, false);
    if (!password) return password.error();
    return open_key_file(*file, *password);
  }

  Result<> store(const std::string& name, const PrivateKey& key) override {
    if (auto made = make_private_folder(folder_); !made) return made;
    const auto password = password_("New password of account " + name, true);
    if (!password) return password.error();
    const auto text = seal_key_file(key, *password);
    if (!text) return text.error();
    return write_new_file(path(name), *text);
  }

  Result<> remove(const std::string& name) override {
    if (::unlink(path(name).c_str()) != 0) return system_error("removing " + path(name));
    return {};
  }

 private:
  std::string path(const std::string& name) const { return folder_ + "/" + name + ".json"; }

  std::string folder_;
  PasswordSource password_;
};

}  // namespace

std::unique_ptr<Keystore> make_key_folder(std::string folder, PasswordSource password) {
  return std::make_unique<KeyFolder>(std::move(folder), std::move(password));
}

}  // namespace paycurl
