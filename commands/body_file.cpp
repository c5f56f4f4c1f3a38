#include "commands/body_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/output.h"
#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl {
namespace {

constexpr int kMostNames = 100;  // as curl's --no-clobber

Error write_error(const std::string& file, int code) {
  return http::transport_error(23, "writing " + printable(file) + ": " + std::strerror(code));
}

}  // namespace

Result<> create_folders_of(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    const std::string folder = path.substr(0, at);
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) return write_error(folder, errno);
  }
  return {};
}

std::string disposition_name(std::string_view value) {
  constexpr std::string_view kName = "filename=";
  while (true) {
    while (value.starts_with(' ') || value.starts_with('\t') || value.starts_with(';')) {
      value.remove_prefix(1);
    }
    if (value.empty()) return "";
    if (lower(value.substr(0, kName.size())) == kName) break;
    value.remove_prefix(std::min(value.find(';'), value.size()));
  }
  value.remove_prefix(kName.size());
  std::string name;
  if (value.starts_with('"') || value.starts_with('\'')) {
    const char quote = value[0];
    for (std::size_t i = 1; i < value.size() && value[i] != quote; ++i) {
      if (value[i] == '\\' && i + 1 < value.size() && value[i + 1] == quote) ++i;
      name += value[i];
    }
  } else {
    name = trimmed(value.substr(0, value.find(';')));
  }
  name.erase(0, name.find_last_of("/\\") + 1);
  name = name.substr(0, name.find_first_of(std::string_view("\r\n\0", 3)));
  return name == "." || name == ".." ? "" : name;
}

BodyFile::~BodyFile() {
  if (fd_ < 0) return;
  struct stat file {};
  const bool is_empty = ::fstat(fd_, &file) == 0 && file.st_size == 0;
  ::close(fd_);
  if (created_ && !written_ && is_empty) ::unlink(path_.c_str());
}

Result<> BodyFile::prepare() {
  if (fd_ >= 0 || is_stdout()) return {};
  path_ = plan_.path();
  if (plan_.create_folders) {
    if (auto made = create_folders_of(path_); !made) return made;
  }
  if (!plan_.name_from_server) return open();
  const std::string folder = plan_.folder.empty() ? "." : plan_.folder;
  if (::access(folder.c_str(), W_OK) != 0) return write_error(folder, errno);
  return {};
}

Result<> BodyFile::open() {
  if (fd_ >= 0) return {};
  const int links = plan_.follow_links && !named_ ? 0 : O_NOFOLLOW;
  const int flags = O_WRONLY | O_CLOEXEC | links | (plan_.append ? O_APPEND : 0);
  const std::string first = path_;
  fd_ = ::open(path_.c_str(), flags | O_CREAT | O_EXCL, 0644);
  created_ = fd_ >= 0;
  if (fd_ < 0 && errno == EEXIST && plan_.keep_others) {
    for (int i = 1; fd_ < 0 && errno == EEXIST && i <= kMostNames; ++i) {
      path_ = first + "." + std::to_string(i);
      fd_ = ::open(path_.c_str(), flags | O_CREAT | O_EXCL, 0644);
    }
    created_ = fd_ >= 0;
  } else if (fd_ < 0 && errno == EEXIST && !named_) {
    fd_ = ::open(path_.c_str(), flags | O_CREAT, 0644);
  }
  if (fd_ < 0) return write_error(path_, errno);
  if (plan_.append) begin_ = std::max<off_t>(::lseek(fd_, 0, SEEK_END), 0);
  return {};
}

void BodyFile::take_name(const http::Head& head) {
  if (!plan_.name_from_server || named_ || fd_ >= 0) return;
  const std::string* field = head.headers.find("content-disposition");
  const std::string name = field == nullptr ? "" : disposition_name(*field);
  if (name.empty()) return;
  named_ = true;
  plan_.name = name;
  path_ = plan_.path();
}

Result<> BodyFile::cut() {
  if (auto ready = prepare(); !ready) return ready;
  if (auto opened = open(); !opened) return opened;
  const bool cuts = !written_ && !plan_.append;
  if (cuts && ::ftruncate(fd_, 0) != 0 && errno != EINVAL) return write_error(path_, errno);
  written_ = true;
  return {};
}

Result<> BodyFile::write(std::string_view bytes) {
  if (auto ready = cut(); !ready) return ready;
  return write_all(fd_, bytes);
}

Result<> BodyFile::make_empty() {
  return is_stdout() || written_ ? Result<>() : cut();
}

bool BodyFile::start_over() {
  if (fd_ < 0 || !written_) return true;
  const bool cut_off = ::ftruncate(fd_, begin_) == 0 || errno == EINVAL;  // a device
  if (!cut_off || ::lseek(fd_, begin_, SEEK_SET) != begin_) return false;
  written_ = false;
  return true;
}

void BodyFile::finish(const http::Head* head, bool failed) {
  if (fd_ < 0) return;
  if (failed && plan_.remove_on_error && written_) {
    struct stat file {};
    if (::fstat(fd_, &file) == 0 && S_ISREG(file.st_mode)) ::unlink(path_.c_str());
    return;
  }
  const std::string* date = head == nullptr ? nullptr : head->headers.find("last-modified");
  const auto seconds = date == nullptr ? std::nullopt : http::parse_http_date(*date);
  if (failed || !plan_.set_time || !written_ || !seconds) return;
  const std::array<timespec, 2> times{{{*seconds, 0}, {*seconds, 0}}};
  if (::futimens(fd_, times.data()) != 0) say_note("the time of " + path_ + " could not be set");
}

}  // namespace paycurl
