package example;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.messaging.handler.annotation.Header;
import org.springframework.messaging.handler.annotation.Payload;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.stereotype.Component;
import org.springframework.util.backoff.FixedBackOff;

@Configuration
@Profile("kafka")
class KafkaUsers {
    /** Tries once. */
    @Bean
    DefaultErrorHandler errors() {
        return new DefaultErrorHandler(new FixedBackOff(0, 0));
    }

    @Component
    @Profile("kafka")
    static class Listeners {
        private final KafkaTemplate<String, Object> template;
        private final String topic;

        Listeners(KafkaTemplate<String, Object> template, @Value("${prefix}.imported") String topic) {
            this.template = template;
            this.topic = topic;
        }

        /** Answers to where the request says. */
        @KafkaListener(topics = "${prefix}.create", groupId = "${prefix}.create")
        @SendTo
        Object create(Users.CreateUser command) {
            return Users.create(command);
        }

        /** Answers with an event on a topic. */
        @KafkaListener(topics = "${prefix}.announce", groupId = "${prefix}.announce")
        @SendTo("${prefix}.announced")
        Object announce(Users.CreateUser command) {
            return Users.create(command);
        }

        /** Publishes by itself, with the one header copied that tells which request it belongs to. */
        @KafkaListener(topics = "${prefix}.import", groupId = "${prefix}.import")
        void importUser(@Payload Users.CreateUser command, @Header(KafkaHeaders.CORRELATION_ID) byte[] id) {
            Object event = Users.create(command);
            if (event == null) return;
            ProducerRecord<String, Object> record = new ProducerRecord<>(topic, command.username(), event);
            record.headers().add("x-correlation-id", new String(id, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8));
            template.send(record);
        }
    }
}
