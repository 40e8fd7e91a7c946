"""The dashboard: what `lbproxy status` and its neighbours tell, as pages that follow, and orders for operators.

It is a program beside the balancer, in a process of its own, and asks the admin API as any other program does. So it
can do nothing that the API cannot, and costs the data path nothing but the answers.

balancer     the admin API, asked over its socket
watcher      one look for all browsers, while one is open
pages        the pages, made of a look; `templates` has their HTML
words, plot  what they say and draw
render       HTML from the templates
stream       what is new, for a page that is open
orders       what operators can order, and what each order says before it is given; `ordering`: its page and its form
sessions     who has signed in, and until when
safety       what every request has to show, and what every answer carries
app          all of it, as a web application
server       the web server
local        `lbproxy dashboard`: on loopback, for the account that runs it
web          [admin.web]: on a network, for those who sign in; `settings`: what its process is told
sign_in      by ticket (`kerberos`), client certificate or password (`passwords`); `attempts`: not too often
roles        who may do what
"""
