#include "wallet/key_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/json.h"
#include "src/base/text.h"
#include "src/crypto/random.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxKeyFile = 64 * 1024;

Error bad_file(const std::string& why) {
  return {Kind::account, "not a key file: " + why,
          "paycurl reads Web3 Secret Storage version 3, as `cast wallet import` writes it"};
}

Error bad_secret(const std::string& why) {
  return {Kind::account, "not a secret's file: " + why};
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

Result<> read_kdf(const Json& crypto, Sealed& file) {
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

Digest mac_of(const Secret& derived, ByteView authenticated) {
  Secret input;  // at most 16 + 1024 bytes
  const auto key = derived.bytes().subspan(16, 16);
  std::memcpy(input.buffer().data(), key.data(), key.size());
  std::memcpy(input.buffer().data() + key.size(), authenticated.data(), authenticated.size());
  input.resize(key.size() + authenticated.size());
  return keccak256(input.bytes());
}

/// The MAC of a secret's file also covers what it is for and the initial value: both could be
/// changed otherwise.
Digest secret_mac(const Secret& derived, std::string_view purpose, const Sealed& file) {
  Bytes authenticated = file.iv;
  const Digest ciphertext = keccak256(file.ciphertext);
  authenticated.insert(authenticated.end(), ciphertext.begin(), ciphertext.end());
  authenticated.insert(authenticated.end(), purpose.begin(), purpose.end());
  return mac_of(derived, authenticated);
}

Result<Secret> derive(const Sealed& file, const Secret& password) {
  return file.scrypt ? derive_scrypt(password, file.salt, *file.scrypt)
                     : derive_pbkdf2(password, file.salt, file.rounds);
}

Result<Secret> decrypt(const Sealed& file, const Secret& derived) {
  Secret plain;
  const auto out = plain.buffer().first(file.ciphertext.size());
  if (auto done = aes128_ctr(derived.bytes().first(16), file.iv, file.ciphertext, out); !done) {
    return done.error();
  }
  plain.resize(file.ciphertext.size());
  return plain;
}

/// Encrypts under a fresh salt and initial value; the MAC is missing.
Result<Sealed> encrypt(const Secret& plain, const Secret& derived, Sealed file) {
  const auto iv = random_array<16>();
  file.iv.assign(iv.begin(), iv.end());
  file.ciphertext.resize(plain.bytes().size());
  auto done = aes128_ctr(derived.bytes().first(16), file.iv, plain.bytes(), file.ciphertext);
  if (!done) return done.error();
  return file;
}

Sealed fresh(const Scrypt& cost) {
  Sealed file;
  const auto salt = random_array<32>();
  file.salt.assign(salt.begin(), salt.end());
  file.scrypt = cost;
  return file;
}

Json sealed_json(const Sealed& file) {
  const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  return Json::object({{"cipher", "aes-128-ctr"},
                       {"cipherparams", Json::object({{"iv", to_hex(file.iv)}})},
                       {"ciphertext", to_hex(file.ciphertext)},
                       {"kdf", "scrypt"},
                       {"kdfparams", Json::object({{"dklen", 32},
                                                   {"n", number(file.scrypt->n)},
                                                   {"p", number(file.scrypt->p)},
                                                   {"r", number(file.scrypt->r)},
                                                   {"salt", to_hex(file.salt)}})},
                       {"mac", to_hex(file.mac)}});
}

/// The member "crypto" of a file, with at least and at most so many encrypted bytes.
Result<> read_sealed(const Json& crypto, std::size_t least, std::size_t most, Sealed& file) {
  const auto cipher = crypto.string_at("cipher");
  if (!cipher || *cipher != "aes-128-ctr") return bad_file("its cipher is not aes-128-ctr");
  const Json* cipher_params = crypto.find("cipherparams");
  if (cipher_params == nullptr) return bad_file("\"cipherparams\" is missing");
  auto iv = hex_at(*cipher_params, "iv", 16, 16);
  if (!iv) return iv.error();
  auto ciphertext = hex_at(crypto, "ciphertext", least, most);
  if (!ciphertext) return ciphertext.error();
  auto mac = hex_at(crypto, "mac", 32, 32);
  if (!mac) return mac.error();
  file.iv = std::move(*iv);
  file.ciphertext = std::move(*ciphertext);
  file.mac = std::move(*mac);
  return read_kdf(crypto, file);
}

Error wrong_password(const char* whose) {
  return {Kind::account, std::string("the password of the ") + whose + " is wrong", "", "password"};
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
  if (auto read = read_sealed(*crypto, 32, 32, file); !read) return read.error();
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
  const auto derived = derive(file, password);
  if (!derived) return derived.error();
  if (!equal_constant_time(mac_of(*derived, file.ciphertext), file.mac)) {
    return wrong_password("key file");
  }
  const auto plain = decrypt(file, *derived);
  if (!plain) return plain.error();
  auto key = PrivateKey::from_bytes(plain->bytes());
  if (key && file.address && key->address() != *file.address) {
    return bad_file("the key in it is not that of its address");
  }
  return key;
}

Result<std::string> seal_key_file(const PrivateKey& key, const Secret& password,
                                  const Scrypt& cost) {
  Sealed empty = fresh(cost);
  const auto derived = derive(empty, password);
  if (!derived) return derived.error();
  auto file = encrypt(key.secret(), *derived, std::move(empty));
  if (!file) return file.error();
  const Digest mac = mac_of(*derived, file->ciphertext);
  file->mac.assign(mac.begin(), mac.end());
  return Json::object({{"address", key.address().lower_hex().substr(2)},
                       {"crypto", sealed_json(*file)},
                       {"id", uuid()},
                       {"version", 3}})
             .dump() +
         "\n";
}

Result<Sealed> parse_secret_file(std::string_view text, std::string_view purpose) {
  const auto json = Json::parse(text, kMaxKeyFile);
  if (!json) return bad_secret(json.error().message);
  const auto form = json->optional_integer_at("paycurlSecret");
  const auto written = json->optional_string_at("purpose");
  const Json* crypto = json->find("crypto");
  if (!form || *form != 1 || !written || *written != purpose || crypto == nullptr) {
    return bad_secret("it is none of paycurl's for " + std::string(purpose));
  }
  Sealed file;
  if (auto read = read_sealed(*crypto, 1, Secret::kCapacity, file); !read) {
    return bad_secret(read.error().message);
  }
  return file;
}

Result<Secret> open_secret_file(const Sealed& file, std::string_view purpose,
                                const Secret& password) {
  const auto derived = derive(file, password);
  if (!derived) return derived.error();
  if (!equal_constant_time(secret_mac(*derived, purpose, file), file.mac)) {
    return wrong_password("encrypted file");
  }
  return decrypt(file, *derived);
}

Result<std::string> seal_secret_file(const Secret& secret, std::string_view purpose,
                                     const Secret& password, const Scrypt& cost) {
  Sealed empty = fresh(cost);
  const auto derived = derive(empty, password);
  if (!derived) return derived.error();
  auto file = encrypt(secret, *derived, std::move(empty));
  if (!file) return file.error();
  const Digest mac = secret_mac(*derived, purpose, *file);
  file->mac.assign(mac.begin(), mac.end());
  return Json::object({{"crypto", sealed_json(*file)}, {"paycurlSecret", 1}, {"purpose", purpose}})
             .dump() +
         "\n";
}

Result<std::string> read_small_file(const std::string& path) {
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
  text.resize(size);
  return text;
}

Result<KeyFile> read_key_file(const std::string& path) {
  const auto text = read_small_file(path);
  if (!text) return text.error();
  auto file = parse_key_file(*text);
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

}  // namespace paycurl
