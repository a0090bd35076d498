# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` and the Debian package hold. The two libraries go into a folder of their own: nobody links them.
include(GNUInstallDirs)
find_package(Python3 COMPONENTS Interpreter REQUIRED)

set(docs ${CMAKE_CURRENT_BINARY_DIR}/docs)
file(GLOB doc_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/man/*)
add_custom_command(OUTPUT ${docs}/kt.1
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/make_docs.py $<TARGET_FILE:kt_tool> ${docs} ${PROJECT_VERSION}
        ${CMAKE_INSTALL_PREFIX}/lib/ktwrap
    DEPENDS kt_tool ${CMAKE_CURRENT_SOURCE_DIR}/make_docs.py ${doc_sources}
    COMMENT "manual pages and completions")
add_custom_target(docs ALL DEPENDS ${docs}/kt.1)

install(TARGETS kt_tool RUNTIME DESTINATION bin)
install(TARGETS kt ktengine LIBRARY DESTINATION lib/ktwrap)
install(FILES ${docs}/kt.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${docs}/policy-config.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${docs}/libkt.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES ${docs}/kt.bash DESTINATION share/bash-completion/completions RENAME kt)
install(FILES ${docs}/_kt DESTINATION share/zsh/vendor-completions)
install(FILES ${docs}/kt.fish DESTINATION share/fish/vendor_completions.d)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/configs/ DESTINATION share/doc/ktwrap/configs)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md DESTINATION share/doc/ktwrap)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION share/doc/ktwrap RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ktwrap)
set(CPACK_PACKAGE_VENDOR ktwrap)
set(CPACK_PACKAGE_CONTACT "The ktwrap maintainers <ktwrap@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "policies and routing inside unmodified programs that call an LLM")
set(CPACK_PACKAGE_DESCRIPTION "kt wrap runs a program unchanged; its calls to LLM hosts pass a policy chain and a router inside the process: no gateway,
 no sidecar, no proxy setting. Every call leaves an audit event.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
