# vitrine_freestanding(NAME LINKER_SCRIPT SOURCES...): NAME.elf, a 64-bit image without a host under it, in the 32-bit ELF container
# that boot loaders ask for. NAME64.elf beside it has the symbols.
function(vitrine_freestanding name script)
  add_executable(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${name}64.elf LINK_DEPENDS ${script})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -ffreestanding -fno-pic -fno-pie -mno-red-zone -mcmodel=small
    $<$<COMPILE_LANGUAGE:C>:-mgeneral-regs-only -O2 -g -fno-builtin -fno-sanitize=all -fno-stack-protector
    -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fcf-protection=none -U_FORTIFY_SOURCE>)
  target_link_options(${name} PRIVATE -nostdlib -static -no-pie -fno-sanitize=all -Wl,-T,${script}
    -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments)
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} -O elf32-i386 --strip-debug $<TARGET_FILE:${name}> ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf
    BYPRODUCTS ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf VERBATIM)
endfunction()
