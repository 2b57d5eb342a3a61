# Warnings are errors for our code; third-party headers come in as SYSTEM. Left out, with the reason:
#   sign-conversion             index arithmetic of tensors mixes signed shapes and size_t everywhere
#   missing-field-initializers  designated initialisers leave fields at their defaults on purpose
#   maybe-uninitialized         GCC 12 reports std::optional members that are never read while empty
add_library(tandem_warnings INTERFACE)
target_compile_options(tandem_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       -Wno-sign-conversion -Wno-missing-field-initializers -Wnon-virtual-dtor -Woverloaded-virtual -Werror
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)

# Sanitizers for every target of ours: a program in which only some files are instrumented reports phantoms.
if(TANDEM_SANITIZE)
  add_compile_options(-fsanitize=${TANDEM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TANDEM_SANITIZE})
endif()
