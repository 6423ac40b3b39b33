// Drives discord-digital-twin for the tests: a line of JSON in, a line of JSON out.
import { createInterface } from 'node:readline'
import { DigitalDiscord } from 'discord-digital-twin'

const [token, bot] = process.argv.slice(2)
const twin = new DigitalDiscord({
  botToken: token,
  botUser: { id: bot, username: 'qundao' },
  guild: { id: '3000', name: 'twin', ownerId: '10001' },
  channels: [{ id: '777', name: 'hall', type: 0 }],
  users: [{ id: '20002', username: 'xiaohong' }],
})
await twin.start()
const user = twin.channel('777').user('20002')
const answer = (value) => console.log(JSON.stringify(value ?? null))
answer({ url: `http://127.0.0.1:${twin.port}` })

const commands = {
  say: ([content]) => user.sendMessage({ content }),
  edit: ([messageId, content]) => user.editMessage({ messageId, content }),
  remove: ([messageId]) => user.deleteMessage({ messageId }),
  slash: ([name]) => user.runSlashCommand({ name, guildId: '3000' }),
  press: ([messageId, customId]) => user.clickButton({ messageId, customId, guildId: '3000' }),
  messages: () => twin.channel('777').getMessages(),
  response: ([id]) => twin.channel('777').getInteractionResponse(id),
}
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line)
  try {
    answer(await commands[name](args))
  } catch (error) {
    answer({ error: String(error) })
  }
}
await twin.stop()
process.exit(0)
