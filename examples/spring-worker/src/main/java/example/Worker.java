package example;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;

/** A worker as it may have been there before any gateway; the profile says which broker it listens to. */
@SpringBootApplication
public class Worker {
    public static void main(String[] args) {
        SpringApplication.run(Worker.class, args);
    }

    @EventListener(ApplicationReadyEvent.class)
    void ready() {
        System.out.println("worker ready");
    }
}
