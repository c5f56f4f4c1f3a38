// URLs, header fields, bodies, the WWW-Authenticate grammar, forms.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "src/http/auth_header.h"
#include "src/http/client.h"
#include "src/http/multipart.h"

namespace paycurl::http {
namespace {

TEST_CASE("URLs as people type them") {
  CHECK(parse_url("example.com")->text == "https://example.com/");
  CHECK(parse_url("example.com", "http")->text == "http://example.com/");
  CHECK(parse_url("localhost:8080/x")->text == "http://localhost:8080/x");
  CHECK(parse_url("https://h/a?")->text == "https://h/a?");
  CHECK(with_query(*parse_url("h/a?#f"), "b=c")->text == "https://h/a?b=c");
  CHECK(parse_url("api.localhost")->scheme == "http");
  CHECK(parse_url("127.9.9.9")->scheme == "http");
  CHECK(parse_url("[::1]:80/")->scheme == "http");
  CHECK(parse_url("localhost.example.com")->scheme == "https");
  CHECK(parse_url("HTTP://EXAMPLE.com:80/a/../b?q#frag")->text == "http://example.com/b?q");
  CHECK(parse_url("https://u:p%40@h/")->userinfo == "u:p@");
  CHECK(parse_url("https://u:p%40@h/")->text == "https://h/");
  CHECK(parse_url("https://h:8443/")->origin() == "https://h:8443");
  CHECK(parse_url("https://h:443/")->origin() == "https://h");
  CHECK(parse_url("ftp://h/").error().kind == Kind::usage);
  CHECK(parse_url("http://").error().exit_status() == 3);
  CHECK(parse_url("http://a b/").error().exit_status() == 3);
  CHECK(parse_url("").error().exit_status() == 3);
}

TEST_CASE("a WebSocket's URL is the http one that its upgrade asks for") {
  const Url plain = *parse_url("WS://EXAMPLE.com:80/a/../b?q#frag");
  CHECK(plain.text == "http://example.com/b?q");
  CHECK(plain.scheme == "http");
  CHECK(plain.port == 80);
  CHECK(plain.websocket);
  const Url secure = *parse_url("wss://u:p@example.com");
  CHECK(secure.text == "https://example.com/");
  CHECK(secure.port == 443);
  CHECK(secure.userinfo == "u:p");
  CHECK(secure.websocket);
  CHECK(secure.origin() == parse_url("https://example.com:443/x")->origin());
  CHECK(parse_url("ws://localhost:8080/s")->is_loopback());
  CHECK(parse_url("ws://[::1]:80/")->text == "http://[::1]/");
  CHECK(parse_url("example.com", "wss")->websocket);
  CHECK_FALSE(parse_url("https://h/")->websocket);
  CHECK(parse_url("wsx://h/").error().kind == Kind::usage);
  CHECK(parse_url("ws://").error().exit_status() == 3);

  CHECK(with_query(plain, "r=s")->websocket);
  CHECK(resolve(plain, "/c")->websocket);
  CHECK(resolve(plain, "wss://other/z")->text == "https://other/z");
  CHECK(resolve(plain, "https://other/z")->websocket);
  const auto refused = resolve(*parse_url("https://h/"), "wss://h/");
  CHECK(refused.error().message == "paycurl speaks http and https, not wss");
}

TEST_CASE("a credential's origin is scheme, host and port") {
  const auto origin = [](const char* text) { return parse_url(text)->origin(); };
  CHECK(origin("http://a.com/x") == origin("http://A.COM:80/y"));
  CHECK(origin("http://a.com/") != origin("https://a.com/"));
  CHECK(origin("http://a.com/") != origin("http://a.com:81/"));
  CHECK(origin("http://a.com/") != origin("http://a.com.evil/"));
}

TEST_CASE("redirect targets") {
  const Url base = *parse_url("https://h/a/b?x");
  CHECK(resolve(base, "c")->text == "https://h/a/c");
  CHECK(resolve(base, "/c?y")->text == "https://h/c?y");
  CHECK(resolve(base, "//other/z")->text == "https://other/z");
  CHECK(resolve(base, "http://other/z")->scheme == "http");
  CHECK_FALSE(resolve(base, "file:///etc/passwd").has_value());
  CHECK_FALSE(resolve(base, "gopher://x/").has_value());
  CHECK(with_query(base, "k=v")->text == "https://h/a/b?x&k=v");
  CHECK(file_name(base) == "b");
}

TEST_CASE("loopback and private addresses") {
  for (const char* ip : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"})
    CHECK(is_loopback_address(ip));
  for (const char* ip : {"128.0.0.1", "::2", "10.0.0.1", "", "x"})
    CHECK_FALSE(is_loopback_address(ip));
  for (const char* ip :
       {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1", "100.64.0.1",
        "0.0.0.0", "fd00::1", "fe80::1%eth0", "::1", "::", "::ffff:10.0.0.1"}) {
    CAPTURE(ip);
    CHECK(is_private_address(ip));
  }
  for (const char* ip : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "192.169.0.1"}) {
    CAPTURE(ip);
    CHECK_FALSE(is_private_address(ip));
  }
}

TEST_CASE("header lines of -H") {
  CHECK(parse_header_line("X-A: b c ")->field.value == "b c");
  CHECK(parse_header_line("X-A:")->removes);
  CHECK_FALSE(parse_header_line("X-A;")->removes);
  CHECK(parse_header_line("X-A;")->field.value.empty());
  for (const char* line : {"", "no colon", ": v", "a b: c", "X: a\r\nY: b", "X;y"}) {
    CAPTURE(line);
    CHECK(parse_header_line(line).error().kind == Kind::usage);
  }
}

TEST_CASE("a body is the same bytes every time it is read") {
  Body body("head,");
  char name[] = "/tmp/paycurl-test-XXXXXX";
  const int fd = ::mkstemp(name);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, "file", 4) == 4);
  REQUIRE(body.append_file(name).has_value());
  body.append(",tail");
  ::unlink(name);
  for (int round = 0; round < 2; ++round) {
    CHECK(**body.text(100) == "head,file,tail");
    CHECK(to_hex(*body.sha256()) == to_hex(sha256(as_bytes("head,file,tail"))));
  }
  CHECK(body.size() == 14);
  CHECK_FALSE(body.text(13)->has_value());
  CHECK(Body().append_file("/does/not/exist").error().exit_status() == 26);
  CHECK(Body().append_file("/tmp").error().exit_status() == 26);
  REQUIRE(::ftruncate(fd, 1) == 0);
  CHECK(body.text(100).error().exit_status() == 26);
  ::close(fd);
}

TEST_CASE("a pipe becomes a body that can be read again") {
  for (const std::size_t size : {std::size_t{10}, std::size_t{3} << 20}) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const std::string sent(size, 'x');
    if (::fork() == 0) {
      std::size_t done = 0;
      while (done < size)
        done += static_cast<std::size_t>(::write(ends[1], sent.data() + done, size - done));
      ::_exit(0);
    }
    ::close(ends[1]);
    Body body;
    REQUIRE(body.append_descriptor(ends[0], "pipe").has_value());
    CHECK(body.size() == size);
    CHECK(**body.text(size) == sent);
  }
}

std::string shape(std::string_view field) {
  std::string out;
  for (const AuthChallenge& challenge : parse_auth_header(field)) {
    out += challenge.scheme + (challenge.defect.empty() ? "" : "!") + "(" + challenge.token68;
    for (const auto& [name, value] : challenge.params)
      out += name + "=" + value + ";";
    out += ")";
  }
  return out;
}

TEST_CASE("WWW-Authenticate: RFC 9110 section 11") {
  CHECK(shape("Basic") == "basic()");
  CHECK(shape("Basic realm=simple") == "basic(realm=simple;)");
  CHECK(shape("Negotiate YWJj==") == "negotiate(YWJj==)");
  CHECK(shape("Basic, Negotiate, Payment id=\"x\"") == "basic()negotiate()payment(id=x;)");
  CHECK(shape("Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic "
              "realm=\"simple\"") ==
        "newauth(realm=apps;type=1;title=Login to \"apps\";)basic(realm=simple;)");
  CHECK(shape(" , ,Payment  ID = \"a\" ,realm=b,, ") == "payment(id=a;realm=b;)");
  CHECK(shape("Payment\tid=\"a\"") == "payment(id=a;)");
  CHECK(shape("Payment a=\"x, Basic y=\\\"1\\\"\"") == "payment(a=x, Basic y=\"1\";)");
  CHECK(shape("").empty());
}

TEST_CASE("a defect spoils its own challenge and no other") {
  CHECK(shape("Payment id=\"a\", id=\"b\", Payment id=\"c\"") == "payment!(id=a;)payment(id=c;)");
  CHECK(shape("Payment id=\"a\" realm=\"b\", Payment id=\"c\"") == "payment!()payment(id=c;)");
  CHECK(shape("Payment id=, x=\"1\", Payment id=\"c\"") == "payment!(id=)payment(id=c;)");
  CHECK(shape("Payment id=\"a") == "payment!()");
  CHECK(shape("Payment id=\"a\x01\"") == "payment!()");
  CHECK(shape("=x, Payment id=\"c\"") == "!()payment(id=c;)");
  CHECK(shape("id=\"a\", Payment id=\"c\"") == "id!()payment(id=c;)");
}

TEST_CASE("letters that a header field cannot carry") {
  CHECK(shape("P a=\"em \\u2014 dash \\ud83d\\ude00 \xe9\"") == "p(a=em — dash 😀 é;)");
  CHECK(shape("P a=\"gr\xc3\xbcn\"") == "p(a=grün;)");
  CHECK(shape("P a=\"\\ud800x\"") == "p(a=ud800x;)");
  CHECK(shape("P a=\"\\u12\"") == "p(a=u12;)");
}

TEST_CASE("HTTP dates") {
  CHECK(*parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK_FALSE(parse_http_date("yesterday-ish").has_value());
}

TEST_CASE("forms") {
  Multipart form;
  REQUIRE(form.add("name=va\"lue").has_value());
  REQUIRE(form.add("t=x;type=text/plain").has_value());
  REQUIRE(form.add_string("s=@not;a=file").has_value());
  const std::string text = **form.finish()->text(10000);
  const std::string boundary =
      form.content_type().substr(form.content_type().find("boundary=") + 9);
  CHECK(text ==
        "--" + boundary + "\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nva\"lue\r\n--" +
            boundary +
            "\r\nContent-Disposition: form-data; name=\"t\"\r\nContent-Type: "
            "text/plain\r\n\r\nx\r\n--" +
            boundary + "\r\nContent-Disposition: form-data; name=\"s\"\r\n\r\n@not;a=file\r\n--" +
            boundary + "--\r\n");
  // The same form has the same bytes, another one has not.
  const auto boundary_of = [](const char* field) {
    Multipart again;
    REQUIRE(again.add(field).has_value());
    REQUIRE(again.finish().has_value());
    return again.content_type();
  };
  CHECK(boundary_of("a=b") == boundary_of("a=b"));
  CHECK(boundary_of("a=b") != boundary_of("a=c"));
  CHECK(Multipart().add("nothing").error().kind == Kind::usage);
  CHECK(Multipart().add("a=@/does/not/exist").error().exit_status() == 26);
  CHECK(Multipart().add("a=b;colour=red").error().kind == Kind::usage);
}

}  // namespace
}  // namespace paycurl::http
