{ set +aefuvx; } 2>/dev/null
# Asks RemoteGPU for a short-lived credential. $1 is the address to ask. The key
# comes from REMOTEGPU_API_KEY and reaches curl through a pipe: it never stands in
# an argument list, in a file or in this kubeconfig.
LC_ALL=C
export LC_ALL
# A positional parameter, unlike a variable, can never be an exported one.
set -- "$1" "${REMOTEGPU_API_KEY-}"
unset REMOTEGPU_API_KEY
newline='
'
# Writes $1 as one line of at most 300 printable characters, and ends.
fail() {
  rest=$1 line=
  while [ -n "$rest" ] && [ "${#line}" -lt 300 ]; do
    char=${rest%"${rest#?}"}
    rest=${rest#?}
    case $char in
      [\ -~]) line=$line$char ;;
      *) line=$line'?' ;;
    esac
  done
  printf 'remotegpu: %s\n' "$line" >&2
  exit 1
}
# Fails with the string "detail" of the problem document $1, else with $2.
fail_with_detail() {
  case $1 in
    *'"detail"'*) rest=${1#*'"detail"'} ;;
    *) fail "$2" ;;
  esac
  while :; do
    case $rest in
      [:\ ]*) rest=${rest#?} ;;
      \"*) break ;;
      *) fail "$2" ;;
    esac
  done
  rest=${rest#?} detail=
  while :; do
    part=${rest%%[\"\\]*}
    rest=${rest#"$part"}
    detail=$detail$part
    case $rest in
      \\[\"\\/]*)
        part=${rest#??}
        char=${rest%"$part"}
        detail=$detail${char#?}
        ;;
      \\u????*) part=${rest#??????} detail=$detail'?' ;;
      \\?*) part=${rest#??} detail=$detail'?' ;;
      *) break ;;
    esac
    rest=$part
  done
  fail "${detail:-$2}"
}
case $2 in
  '') fail 'REMOTEGPU_API_KEY is not set: export your API key first' ;;
  *[!A-Za-z0-9_]*) fail 'REMOTEGPU_API_KEY holds a character that no API key has' ;;
esac
# An address on this machine is asked directly, not through a proxy.
case $1 in
  *://127.*|*://localhost[:/]*|*://\[::1\]*) no_proxy='*'; export no_proxy ;;
esac
# The answer, then the HTTP status, then curl's exit code, with blanks between.
{
  answer=$(
    {
      echo "x-api-key: $2" |
        curl -q -sS -g --proto '=http,https' -d '' -H 'content-type:' -H @- \
          --connect-timeout 5 --max-time 15 --max-filesize 65536 \
          -w ' %{http_code}' --url "$1"
      echo " $?"
    } 2>&1
  )
} 2>/dev/null
exit_code=${answer##* }
answer=${answer% *}
case $exit_code/$answer in
  0/*) ;;
  127/*) fail 'curl was not found: install it, or use the plugin kubectl-remotegpu' ;;
  */*'curl: ('*)
    answer=${answer##*'curl: ('}
    answer=${answer#*') '}
    fail "no answer from the server: ${answer%%"$newline"*}"
    ;;
  *) fail "no answer from the server: curl ended with exit code $exit_code" ;;
esac
status=${answer##* }
answer=${answer% *}
case $status in
  200) ;;
  *) fail_with_detail "$answer" "the server answered with HTTP status $status" ;;
esac
case $answer in
  *'"ExecCredential"'*'"token"'*|*'"token"'*'"ExecCredential"'*) ;;
  *) fail 'the server answered with something that is no ExecCredential' ;;
esac
printf '%s\n' "$answer"
