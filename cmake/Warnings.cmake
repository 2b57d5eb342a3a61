# Warnings are errors for our code; third-party headers come in as SYSTEM.
add_library(tandem_warnings INTERFACE)
target_compile_options(tandem_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(TANDEM_SANITIZE)
  target_compile_options(tandem_warnings INTERFACE -fsanitize=${TANDEM_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(tandem_warnings INTERFACE -fsanitize=${TANDEM_SANITIZE})
endif()
