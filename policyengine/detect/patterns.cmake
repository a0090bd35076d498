# The pattern sets are compiled while ktwrap is built (seconds that no wrapped program pays) and linked in as data.
# kt_patc needs the compiler half of Vectorscan; the engine links libhs_runtime alone, which brings no C++ runtime into
# the wrapped program.
file(GLOB patc CONFIGURE_DEPENDS detect/gen/*.c)
add_executable(kt_patc ${patc})
target_include_directories(kt_patc PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_definitions(kt_patc PRIVATE _GNU_SOURCE)
target_compile_options(kt_patc PRIVATE -Wall -Wextra -Werror) # not kt_flags: a build tool needs no sanitizer
target_link_libraries(kt_patc PRIVATE PkgConfig::HS)
set_target_properties(kt_patc PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/gen)

foreach(set injection safety)
    set(image ${CMAKE_BINARY_DIR}/gen/kt_scan_image_${set}.c)
    add_custom_command(
        OUTPUT ${image}
        COMMAND kt_patc ${set} ${image}
        DEPENDS kt_patc
        COMMENT "Compiling the ${set} patterns"
        VERBATIM)
    target_sources(kt_detect PRIVATE ${image})
endforeach()
