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

foreach(set injection meta safety classes)
    set(image ${CMAKE_BINARY_DIR}/gen/kt_scan_image_${set}.c)
    add_custom_command(
        OUTPUT ${image}
        COMMAND kt_patc ${set} ${image}
        DEPENDS kt_patc
        COMMENT "Compiling the ${set} patterns"
        VERBATIM)
    target_sources(kt_detect PRIVATE ${image})
endforeach()

# The weights of the linear model (tools/train_injection), taken in as they lie in the repository.
set_source_files_properties(detect/kt_linear_injection.c PROPERTIES
    COMPILE_DEFINITIONS KT_WEIGHTS_FILE="${CMAKE_CURRENT_SOURCE_DIR}/detect/weights/injection.bin"
    OBJECT_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/detect/weights/injection.bin)

# For training only: tools/train_injection/train.py builds and runs it.
add_executable(kt_injection_features EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/train_injection/features.c)
target_link_libraries(kt_injection_features PRIVATE kt_detect kt_base)
target_include_directories(kt_injection_features PRIVATE ${CMAKE_SOURCE_DIR})
add_library(kt_injection_fit MODULE EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tools/train_injection/fit.c)
target_include_directories(kt_injection_fit PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(kt_injection_fit PRIVATE -O2 -Wall -Wextra -Werror)
target_link_libraries(kt_injection_fit PRIVATE m)
set_target_properties(kt_injection_fit PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_dependencies(kt_injection_features kt_injection_fit)
