# Completion for shells and the manual page: the program writes them, as soon as it is built, into share/ of the
# build folder, as they lie in an installation.

set(share_dir "${PROJECT_BINARY_DIR}/share")
set(folders "bash-completion/completions" "zsh/site-functions" "fish/vendor_completions.d" "man/man1")
list(TRANSFORM folders PREPEND "${share_dir}/")

add_custom_command(TARGET foreplan_cli POST_BUILD
  COMMAND "${CMAKE_COMMAND}" -E make_directory ${folders}
  COMMAND foreplan_cli completion bash > "${share_dir}/bash-completion/completions/foreplan"
  COMMAND foreplan_cli completion zsh > "${share_dir}/zsh/site-functions/_foreplan"
  COMMAND foreplan_cli completion fish > "${share_dir}/fish/vendor_completions.d/foreplan.fish"
  COMMAND foreplan_cli manual roff > "${share_dir}/man/man1/foreplan.1"
  VERBATIM)

install(DIRECTORY "${share_dir}/" DESTINATION "${CMAKE_INSTALL_DATADIR}")
