# completion of mlxk-json, the second name of mlxk2
. "${BASH_SOURCE[0]%/*}/mlxk2.bash"
