package example;

import org.springframework.amqp.core.TopicExchange;
import org.springframework.amqp.rabbit.annotation.Queue;
import org.springframework.amqp.rabbit.annotation.RabbitHandler;
import org.springframework.amqp.rabbit.annotation.RabbitListener;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.amqp.support.AmqpHeaders;
import org.springframework.amqp.support.converter.Jackson2JsonMessageConverter;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.messaging.handler.annotation.Header;
import org.springframework.messaging.handler.annotation.SendTo;
import org.springframework.stereotype.Component;

@Configuration
@Profile("rabbitmq")
class RabbitUsers {
    @Bean
    TopicExchange events(@Value("${prefix}.events") String name) {
        return new TopicExchange(name);
    }

    @Bean
    Jackson2JsonMessageConverter json() {
        return new Jackson2JsonMessageConverter("example");
    }

    /** One method: the body is what the method takes, whatever its headers say. */
    @Component
    @Profile("rabbitmq")
    static class Listeners {
        private final RabbitTemplate template;
        private final String exchange;

        Listeners(RabbitTemplate template, @Value("${prefix}.events") String exchange) {
            this.template = template;
            this.exchange = exchange;
        }

        /** Answers to the sender; the declared type says nothing. */
        @RabbitListener(queuesToDeclare = @Queue("${prefix}.create"))
        Object create(Users.CreateUser command) {
            return Users.create(command);
        }

        /** Answers to the sender, with the exception if there is one. */
        @RabbitListener(queuesToDeclare = @Queue("${prefix}.risky"), returnExceptions = "true")
        Object risky(Users.CreateUser command) {
            return Users.create(command);
        }

        /** Answers with an event on an exchange. */
        @RabbitListener(queuesToDeclare = @Queue("${prefix}.announce"))
        @SendTo("${prefix}.events/users.result")
        Object announce(Users.CreateUser command) {
            return Users.create(command);
        }

        /** Publishes by itself, with the one header copied that tells which request it belongs to. */
        @RabbitListener(queuesToDeclare = @Queue("${prefix}.import"))
        void importUser(Users.CreateUser command, @Header(AmqpHeaders.CORRELATION_ID) String id) {
            Object event = Users.create(command);
            if (event == null) return;
            template.convertAndSend(exchange, "users.imported", event, message -> {
                message.getMessageProperties().setHeader("x-correlation-id", id);
                return message;
            });
        }
    }

    /** Several methods: the type in the headers decides which one is called. */
    @Component
    @Profile("rabbitmq")
    @RabbitListener(queuesToDeclare = @Queue("${prefix}.typed"))
    static class Typed {
        @RabbitHandler
        Users.UserCreated create(Users.CreateUser command) {
            return (Users.UserCreated) Users.create(command);
        }

        @RabbitHandler
        Users.UserNotCreated refuse(Users.UserNotCreated command) {
            return command;
        }
    }
}
