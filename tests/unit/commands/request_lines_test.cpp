// The lines of --input, and where a file is cut into them.
#include "commands/request_lines.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/folder.h"

namespace paycurl {
namespace {

using test::Folder;

std::string refusal(std::string_view line) {
  const auto parsed = parse_request_line(line);
  if (parsed) return "";
  CHECK_FALSE(parsed.error().message.empty());
  return parsed.error().message;
}

TEST_CASE("a line is a URL, or an object with what curl's options say") {
  CHECK(parse_request_line(" https://a.example/b?c \r")->url == "https://a.example/b?c");
  const auto line = parse_request_line(
      R"({"url":"a.example","method":"PUT","headers":{"A":"b","C":["d",""]},"body":"@x",)"
      R"("output":"o","once":"k"})");
  REQUIRE(line.has_value());
  CHECK(line->url == "a.example");
  CHECK(line->method == "PUT");
  CHECK(line->headers == std::vector<std::string>{"A: b", "C: d", "C;"});
  CHECK(line->body == "@x");
  CHECK_FALSE(line->is_json);
  CHECK(line->output == "o");
  CHECK(line->once == "k");
}

TEST_CASE("a body of JSON is sent as it is written") {
  const auto body = [](const std::string& value) {
    const auto line = parse_request_line(R"({"a\"}":1,"url":"u","json": )" + value + " }");
    return line ? *line->body : "refused: " + line.error().message;
  };
  CHECK(body("1").starts_with("refused: unknown key"));
  const auto exact = [](const std::string& value) {
    const auto line = parse_request_line(R"({"url":"u,\"json\":[}", "json": )" + value +
                                         R"( , "headers":{"json":"x"}})");
    REQUIRE(line.has_value());
    CHECK(line->is_json);
    return *line->body;
  };
  for (const char* value : {"12345678901234567890", "1.0", R"({"q": "a,}\"", "json": [1, 2]})",
                            "null", R"("text\\")", "[]"}) {
    CHECK(exact(value) == value);
  }
}

TEST_CASE("what would be ignored, or mean something else, is refused") {
  for (const char* line :
       {"{}", "{", R"({"url":""})", R"({"url":1})", R"({"url":"u","url":"v"})",
        R"({"url":"u","bodi":"x"})", R"({"url":"u","body":{}})",
        R"({"url":"u","body":"","json":1})", R"({"url":"u","method":"A B"})",
        R"({"url":"u","headers":["a"]})", R"({"url":"u","headers":{"@file":"x"}})",
        R"({"url":"u","headers":{"A":"b\r\nC: d"}})", R"({"url":"u","headers":{"A":1}})",
        R"({"url":"u","output":null})", R"({"url":"u","output":"a\u0000b"})",
        R"({"url":"u","once":"a b"})", R"({"url":"u"} {"url":"v"})",
        "https://a.example https://b.example"}) {
    CAPTURE(std::string(line));
    CHECK_FALSE(refusal(line).empty());
  }
}

TEST_CASE("a key of --once is 1 to 255 visible characters") {
  CHECK(check_once_key("order-1").has_value());
  CHECK(check_once_key(std::string(255, '~')).has_value());
  for (const std::string& key : {std::string(), std::string(256, 'a'), std::string("a b"),
                                 std::string("a\n"), std::string("\x7f"), std::string("ä")}) {
    CHECK_FALSE(check_once_key(key).has_value());
  }
}

/// What a reader finds in a file of that text: "number:line", then "!" where it ends in an error.
std::string lines_of(const std::string& text) {
  const Folder folder;
  const std::string path = folder / "lines";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(fd);
  auto reader = LineReader::open(path);
  REQUIRE(reader.has_value());
  std::string first;
  for (int round = 0; round < 2; ++round) {  // the second time it reads the same
    std::string found;
    while (true) {
      const auto line = reader->next();
      if (!line) found += "!";
      if (!line || !*line) break;
      found += std::to_string((*line)->number) + ":" + (*line)->text + " ";
    }
    if (round == 0) first = found;
    CHECK(found == first);
    REQUIRE(reader->rewind().has_value());
  }
  return first;
}

TEST_CASE("lines are counted with those that say nothing") {
  CHECK(lines_of("").empty());
  CHECK(lines_of("\n \n# a\n").empty());
  CHECK(lines_of("a") == "1:a ");
  CHECK(lines_of("a\r\n\nb\n#c\n  d") == "1:a 3:b 5:  d ");
  const std::string longest(LineReader::kMaxLine, 'x');
  CHECK(lines_of(longest + "\ny\n") == "1:" + longest + " 2:y ");
  CHECK(lines_of(longest) == "1:" + longest + " ");
  CHECK(lines_of("y\n" + longest + "x\nz\n") == "1:y !");
  CHECK(lines_of(longest + "x") == "!");
}

}  // namespace
}  // namespace paycurl
