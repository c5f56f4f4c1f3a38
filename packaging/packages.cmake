# What cpack needs to know to make the .deb, for Debian 12; scripts/package runs it.
set(CPACK_PACKAGE_NAME paycurl)
set(CPACK_PACKAGE_VENDOR "The paycurl authors")
set(CPACK_PACKAGE_CONTACT "The paycurl authors <paycurl@example.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "command-line HTTP client that pays when a server asks for it")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_OUTPUT_FILE_PREFIX ${CMAKE_BINARY_DIR})
set(CPACK_STRIP_FILES FALSE)  # the linker has done it
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS ${CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packaging/debian.cmake)
set(CPACK_VERBATIM_VARIABLES TRUE)

set(CPACK_DEBIAN_PACKAGE_RELEASE 0+deb12)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION web)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS TRUE)
set(CPACK_DEBIAN_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libsecret-1-0)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS gnome-keyring)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "\
paycurl makes HTTP requests as curl does, with curl's options and exit
codes. When a server answers 402 Payment Required with a challenge of the
Machine Payments Protocol or of L402, it holds the price against the limits
of the user, pays from a stablecoin account on Tempo or from a Lightning
wallet, sends the request again and prints the answer.
.
Payments are written to a journal before they are sent, so that none is made
twice. Keys are kept in the keychain of the desktop or in encrypted files.")

set(CPACK_SOURCE_GENERATOR "")
set(CPACK_GENERATOR DEB)
include(CPack)
