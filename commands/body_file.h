// The file that a body goes to: opened before anything is paid, cut only when the answer is there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

#include "src/base/result.h"
#include "src/http/message.h"

namespace paycurl {

/// -o, -O, and what says how they are written.
struct FilePlan {
  std::string name;               ///< empty or "-": stdout
  bool follow_links = true;       ///< not for names that came from a URL or a server
  bool name_from_server = false;  ///< -J: Content-Disposition may give another one
  std::string folder;             ///< --output-dir; empty: the working folder
  bool create_folders = false;    ///< --create-dirs
  bool keep_others = false;       ///< --no-clobber: NAME.1, NAME.2, ... when NAME is there
  bool append = false;            ///< -C: goes behind what is there
  bool set_time = false;          ///< -R: of Last-Modified
  bool remove_on_error = false;   ///< --remove-on-error

  bool is_stdout() const { return name.empty() || name == "-"; }
  std::string path() const { return folder.empty() ? name : folder + "/" + name; }
};

class BodyFile {
 public:
  explicit BodyFile(FilePlan plan) : plan_(std::move(plan)) {}
  /// Takes a file away that it made and nothing was written to.
  ~BodyFile();
  BodyFile(const BodyFile&) = delete;
  BodyFile& operator=(const BodyFile&) = delete;

  /// Opens the file without changing what is in it; of one whose name the server may give, looks
  /// whether its folder takes files. Transport error 23 when that fails.
  Result<> prepare();
  /// The name that an answer gives (RFC 6266), when it is wanted.
  void take_name(const http::Head& head);
  /// Cuts the file before its first bytes, then writes them.
  Result<> write(std::string_view bytes);
  /// Cuts the file when nothing was written to it.
  Result<> make_empty();
  /// Takes back what was written. False when the file cannot forget: a pipe.
  bool start_over();
  /// Behind the last byte: sets the time, or removes the file when the request failed.
  void finish(const http::Head* head, bool failed);

  bool is_stdout() const { return plan_.is_stdout(); }
  bool was_written() const { return written_; }
  /// What was opened.
  const std::string& path() const { return path_; }

 private:
  Result<> open();
  Result<> cut();

  FilePlan plan_;
  std::string path_;
  int fd_ = -1;
  off_t begin_ = 0;  // of what is written
  bool created_ = false;
  bool named_ = false;  // by the server
  bool written_ = false;
};

/// Makes the folders that `path` is in (--create-dirs).
Result<> create_folders_of(const std::string& path);

/// The file name of a Content-Disposition field, without folders; empty when there is none.
std::string disposition_name(std::string_view value);

}  // namespace paycurl
