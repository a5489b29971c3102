package example;

/** What a username makes the worker do stands for what may happen. */
final class Users {
    record CreateUser(String username) {}

    /** The number has more digits than a JavaScript number can hold. */
    record UserCreated(String id, String username, long number) {}

    record UserNotCreated(String reason) {}

    private Users() {}

    /** Null where there is nothing to answer. */
    static Object create(CreateUser command) {
        return switch (command.username()) {
            case "taken" -> new UserNotCreated("duplicate");
            case "boom" -> throw new IllegalStateException("The password of the database is hunter2.");
            case "nothing" -> null;
            default -> new UserCreated("user-" + command.username(), command.username(), 9007199254740993L);
        };
    }
}
